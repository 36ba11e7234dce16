"""A real HTTP endpoint before a chain's own that keeps no old state, as one that is no archive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

_AT = {"eth_call": 1, "eth_getBalance": 1}


@asynccontextmanager
async def a_forgetful_rpc(behind: str, *, keeps: int) -> AsyncIterator[str]:
    """Its URL. State older than `keeps` blocks before the head is refused in geth's words; logs and blocks are kept."""
    async with aiohttp.ClientSession() as session:

        async def ask(request: Any) -> Any:
            async with session.post(behind, json=request) as answer:
                return await answer.json()

        async def one(request: dict[str, Any]) -> Any:
            place = _AT.get(request["method"])
            if place is not None and str(request["params"][place]).startswith("0x"):
                head = await ask({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []})
                if int(request["params"][place], 16) < int(head["result"], 16) - keeps:
                    error = {"code": -32000, "message": "missing trie node 5f1c (path ) state is not available"}
                    return {"jsonrpc": "2.0", "id": request["id"], "error": error}
            return await ask(request)

        async def handle(request: web.Request) -> web.Response:
            body = await request.json()
            answer = [await one(each) for each in body] if isinstance(body, list) else await one(body)
            return web.json_response(answer)

        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
