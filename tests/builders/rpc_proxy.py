"""A real HTTP endpoint before a chain's own that counts what is asked."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


class RpcCounts:
    """JSON-RPC requests that came through; `calls` by the first four bytes of what an eth_call sends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.methods: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.posts = 0

    def note(self, body) -> None:
        self.posts += 1
        for request in body if isinstance(body, list) else [body]:
            self.methods[request["method"]] += 1
            if request["method"] == "eth_call":
                self.calls[request["params"][0]["data"][:10]] += 1


@asynccontextmanager
async def counting_rpc(behind: str) -> AsyncIterator[RpcCounts]:
    """An endpoint that passes everything on to `behind`."""
    async with aiohttp.ClientSession() as session:

        async def handle(request: web.Request) -> web.Response:
            counts.note(await request.json())
            headers = {"Content-Type": "application/json"}
            async with session.post(behind, data=await request.read(), headers=headers) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            counts = RpcCounts(f"http://127.0.0.1:{runner.addresses[0][1]}")
            yield counts
        finally:
            await runner.cleanup()
