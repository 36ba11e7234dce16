"""A real HTTP endpoint before a chain's own that answers once from the block after the one that was asked for.

As anvil does where the newest block's state is asked for just while the next block is made.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

_AT = {"eth_call": 1, "eth_getBalance": 1}


class HastyRpc:
    """The endpoint; `next_block`, when set, is what happens on the chain during the next read of state."""

    def __init__(self) -> None:
        self.url = ""
        self.next_block: Callable[[], Awaitable[object]] | None = None
        self.hasty = 0  # requests whose state came from a later block


@asynccontextmanager
async def a_hasty_rpc(behind: str) -> AsyncIterator[HastyRpc]:
    """Serves until the context ends."""
    endpoint = HastyRpc()
    async with aiohttp.ClientSession() as session:

        async def ask(request: Any) -> Any:
            async with session.post(behind, json=request) as answer:
                return await answer.json()

        def later(request: dict[str, Any]) -> dict[str, Any]:
            place = _AT.get(request["method"])
            if place is None:
                return request
            return request | {"params": [*request["params"][:place], "latest"]}

        async def is_newest(asked: list[dict[str, Any]]) -> bool:
            at = {each["params"][_AT[each["method"]]] for each in asked if each["method"] in _AT}
            head = await ask({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []})
            return head["result"] in at

        async def handle(request: web.Request) -> web.Response:
            body = await request.json()
            asked = body if isinstance(body, list) else [body]
            if endpoint.next_block is not None and await is_newest(asked):
                happens, endpoint.next_block = endpoint.next_block, None
                await happens()
                endpoint.hasty += 1
                body = [later(each) for each in body] if isinstance(body, list) else later(body)
            return web.json_response(await ask(body))

        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield endpoint
        finally:
            await runner.cleanup()
