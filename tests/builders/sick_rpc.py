"""JSON-RPC endpoints of one chain that each have one thing wrong, on ports that follow each other (`KINDS`).

`python -m tests.builders.sick_rpc --behind URL --host ADDRESS --port FIRST` serves until it is ended. The newest block
is a second old, whenever the chain made it, but for the endpoint that is behind.
"""

import argparse
import asyncio
import time
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

KINDS = {
    "slow": "is right, and takes its time",
    "other": "says that it is of another chain",
    "behind": "has a newest block that is ten minutes old",
    "bare": "has the chain and none of its contracts",
}
SLOW_S = 0.7
"""Before each answer; a look at an endpoint takes a few of them."""
BEHIND_S = 600


async def serve(behind: str, host: str, port: int) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def handle(kind: str, request: web.Request) -> web.Response:
            body = await request.json()
            if kind == "slow":
                await asyncio.sleep(SLOW_S)
            async with session.post(behind, json=body) as reply:
                answers = await reply.json(content_type=None)
            if not isinstance(body, list):
                return web.json_response(_altered(body["method"], answers, kind))
            return web.json_response([_altered(a["method"], b, kind) for a, b in zip(body, answers, strict=True)])

        for number, kind in enumerate(KINDS):
            app = web.Application()
            app.router.add_post("/", partial(handle, kind))
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, host, port + number, reuse_address=True).start()
        await asyncio.Event().wait()


def _altered(method: str, answer: dict[str, Any], kind: str) -> dict[str, Any]:
    found = answer.get("result")
    match method, kind:
        case "eth_chainId", "other":
            return answer | {"result": hex(5)}
        case "eth_getCode", "bare":
            return answer | {"result": "0x"}
        case "eth_getBlockByNumber", _ if found:
            age_s = BEHIND_S if kind == "behind" else 1
            return answer | {"result": found | {"timestamp": hex(int(time.time()) - age_s)}}
        case _:
            return answer


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--behind", required=True)
    options.add_argument("--host", required=True)
    options.add_argument("--port", type=int, required=True)
    given = options.parse_args()
    asyncio.run(serve(given.behind, given.host, given.port))
