"""A process that takes one winning payment, says so, and waits to be killed. Run: paying_child.py STORE"""

import asyncio
import sys
from pathlib import Path

from livefleet.kernel import SessionId
from livefleet.spec import TicketSettings
from tests.builders.payments import a_desk, find_winner, pay


async def main(path: Path) -> None:
    async with a_desk(path, ticket=TicketSettings(expected_value=6 * 10**15)) as (payments, _, _, _):
        session = SessionId("aabbccdd")
        quote, nonce = await find_winner(payments, session)
        await payments.receive(pay(quote, [nonce]), session)
        print(nonce, quote.ticket_params.seed, quote.ticket_params.recipient_rand_hash.hex(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
