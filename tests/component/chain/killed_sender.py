"""A process that means to fund a deposit and is killed by SIGKILL right before or right after it sends.

Arguments: RPC URL, chain id, broker address, database, `before` or `after`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from livefleet.chain import Rpc, TicketBroker, Transactions
from livefleet.kernel import Address, Wei
from tests.devchain.accounts import dev_signer

PURPOSE = "fund the deposit"
DEPOSIT = Wei(10**18)


class _DeadlyRpc(Rpc):
    moment = ""

    async def request(self, method: str, *params: Any) -> Any:
        if method != "eth_sendRawTransaction":
            return await super().request(method, *params)
        if self.moment == "after":
            await super().request(method, *params)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


async def main(url: str, chain_id: str, broker: str, database: str, moment: str) -> None:
    rpc = _DeadlyRpc([url])
    rpc.moment = moment
    async with rpc, Transactions(rpc, dev_signer(4), Path(database), chain_id=int(chain_id)) as transactions:
        await transactions.send(PURPOSE, TicketBroker(rpc, Address(broker)).fund_call(DEPOSIT, Wei(0)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
