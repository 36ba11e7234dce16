"""A process that means to fund a deposit and is killed by SIGKILL at one moment of its transaction's life.

Arguments: RPC URL, chain id, broker address, database, moment (`MOMENTS`, or `never`: it then goes on until it is
ended, and says `held` or `standing by` on a line of its own once it knows).
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from livefleet.chain import Rpc, SqliteIntents, SqliteLeases, TicketBroker, TransactionPolicy, Transactions
from livefleet.kernel import Address, Wei
from tests.devchain.accounts import dev_signer

PURPOSE = "fund the deposit"
DEPOSIT = Wei(10**18)
MOMENTS = (
    "before record",
    "after record",
    "after send",
    "before replacement",
    "after replacement",
    "after its send",
    "before settlement",
    "after settlement",
)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class _DeadlyRpc(Rpc):
    moment = ""
    sends = 0

    async def request(self, method: str, *params: Any) -> Any:
        answer = await super().request(method, *params)
        if method == "eth_sendRawTransaction":
            self.sends += 1
            if self.moment == {1: "after send", 2: "after its send"}.get(self.sends):
                die()
        return answer


class _DeadlyIntents(SqliteIntents):
    moment = ""

    async def record(self, *args: Any, **settings: Any) -> Any:
        return await self._deadly("record", super().record(*args, **settings))

    async def add_attempt(self, *args: Any) -> Any:
        return await self._deadly("replacement", super().add_attempt(*args))

    async def set_state(self, *args: Any, **settings: Any) -> Any:
        return await self._deadly("settlement", super().set_state(*args, **settings))

    async def _deadly(self, what: str, writing: Any) -> Any:
        if self.moment == f"before {what}":
            die()
        written = await writing
        if self.moment == f"after {what}":
            die()
        return written


async def main(url: str, chain_id: str, broker: str, database: str, moment: str) -> None:
    rpc, signer = _DeadlyRpc([url]), dev_signer(4)
    intents = _DeadlyIntents(Path(database), chain_id=int(chain_id), signer=signer.address)
    rpc.moment = intents.moment = moment
    policy = TransactionPolicy(poll_s=0.05, replace_after_s=300 if moment == "never" else 0.2, lease_s=5.0)
    async with (
        rpc,
        SqliteLeases(Path(database)) as leases,
        Transactions(rpc, signer, intents, chain_id=int(chain_id), leases=leases, policy=policy) as transactions,
    ):
        print("held" if transactions.standing_by is None else "standing by", flush=True)
        while transactions.standing_by is not None:
            await asyncio.sleep(0.05)
        await transactions.send(PURPOSE, TicketBroker(rpc, Address(broker)).fund_call(DEPOSIT, Wei(0)))
        print("done", flush=True)
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
