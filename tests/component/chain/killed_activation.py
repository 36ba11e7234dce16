"""A process that activates an orchestrator and is killed by SIGKILL right before or right after its n-th broadcast.

Arguments: RPC URL, chain id, Controller, folder, n, `before` or `after`. Ends by itself with status 0 once all is done.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from livefleet.chain import Rpc
from livefleet.spec import Network, NetworkName
from tests.builders.on_chain_keeping import keeping
from tests.component.chain.activation_spec import DECLARED, ORCHESTRATOR

_sent = 0


def _deadly(number: int, moment: str) -> None:
    original = Rpc.request

    async def request(self: Rpc, method: str, *params: Any) -> Any:
        global _sent  # noqa: PLW0603 -- one process, one count
        if method != "eth_sendRawTransaction":
            return await original(self, method, *params)
        _sent += 1
        if _sent < number or moment == "after":
            answer = await original(self, method, *params)
        if _sent < number:
            return answer
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    Rpc.request = request  # type: ignore[method-assign]


async def main(url: str, chain_id: str, controller: str, folder: str, number: str, moment: str) -> None:
    _deadly(int(number), moment)
    network = Network(name=NetworkName.DEVCHAIN, chain_id=int(chain_id), controller=controller, rpc=(url,))
    async with keeping(network, ORCHESTRATOR, Path(folder), **DECLARED) as kept:
        await kept.settle()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
