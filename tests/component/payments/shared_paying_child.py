"""A node that takes payments without end in a shared database, and says what it acknowledged, until it is killed.

Run: shared_paying_child.py URL NODE FIRST. Each line of its output is a payment that was acknowledged: its number and
what it credited. Payment n has a parameter set of its own, two nonces and a winner.
"""

import asyncio
import sys
from itertools import count

from livefleet.chain import DatabaseFailed, Postgres
from livefleet.payments import PostgresStore, StoreFailed
from tests.component.payments.shared_payments import a_numbered_payment

AT_ONCE = 8


async def main(url: str, node: str, first: int) -> None:
    async with await opened(url) as database, PostgresStore(database, name=node) as store:
        numbers = count(first)

        async def pay() -> None:
            for number in numbers:
                while True:
                    try:
                        credit = await store.take(a_numbered_payment(number), lambda _: None)
                    except StoreFailed:
                        print("refused", number, flush=True)
                        await asyncio.sleep(0.02)
                        continue  # the gateway sends it again
                    print(number, credit, flush=True)
                    break

        print("open", flush=True)
        await asyncio.gather(*(pay() for _ in range(AT_ONCE)))


async def opened(url):
    for _ in range(200):
        try:
            async with Postgres(url, tls=None):
                return Postgres(url, tls=None)
        except DatabaseFailed:
            await asyncio.sleep(0.05)
    raise AssertionError("the database never came")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
