"""A real HTTP endpoint before a chain's own that misbehaves as it is told, and counts what is asked.

In a test's own loop:

    async with an_unruly_rpc(chain.info.rpc) as endpoint:
        await endpoint.become(slow_s=3)          # exactly these faults
        await endpoint.become(stale_by=20, busy=True, odds=0.3)
        await endpoint.behave()                  # none

As a program of its own, `python -m tests.builders.unruly_rpc --behind URL [--port N]` prints its URL and serves until
it is ended. Either way `POST /faults` takes the same words as JSON and `GET /counts` tells what was asked.
"""

import argparse
import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
from aiohttp import web

from tests.builders.rpc_proxy import RpcCounts

__all__ = ["Faults", "UnrulyRpc", "an_unruly_rpc"]

_HANG_S = 600.0
_TAGS = ("latest", "pending", "safe", "finalized")
_AT = {"eth_call": 1, "eth_getBalance": 1, "eth_getTransactionCount": 1, "eth_getCode": 1, "eth_getBlockByNumber": 0}
"""Which parameter names the block."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the endpoint."""

    refuses: bool = False  # nobody listens at its port
    cuts: bool = False  # connections end without an answer
    hangs: bool = False  # connections stay open without an answer
    loses_answers: bool = False  # what is asked reaches the chain, its answer nobody
    slow_s: float = 0.0  # before each answer
    busy: bool = False  # 429
    retry_after_s: int | None = None  # what a 429 says about when to come again
    status: int | None = None  # an HTTP status with a page in place of an answer
    garbage: bool = False  # 200 and no JSON
    empty: bool = False  # 200 and no byte
    no_results: bool = False  # JSON-RPC without `result` and `error`
    no_batches: bool = False  # one error in answer to a batch
    drops_of_batch: bool = False  # a batch's last answer is missing
    stale_by: int = 0  # blocks that it is behind the chain
    stuck_at: int | None = None  # the block after which it has seen none
    forked_at: int | None = None  # from this block on its hashes are others
    chain_id: int | None = None  # what it says
    base_fee: int | None = None  # wei; what it says gas costs
    reverts: tuple[str, ...] = ()  # eth_calls with these selectors (0x and eight digits) revert, "all": every one
    l1_field: bool = False  # blocks carry l1BlockNumber, as Arbitrum's do
    log_span: int | None = None  # blocks that one eth_getLogs may ask for
    log_words: str = "query exceeds max block range {span}"  # how it says so
    log_status: int = 200  # and with which HTTP status
    only: tuple[str, ...] = ()  # methods that the faults hit; none given: all
    odds: float = 1.0  # share of HTTP requests that are hit


class UnrulyRpc(RpcCounts):
    """The endpoint. Its counts are of what came in, answered or not."""

    def __init__(self, behind: str, session: aiohttp.ClientSession) -> None:
        super().__init__("")
        self.faults = Faults()
        self.hit: Counter[str] = Counter()  # HTTP requests that a fault was meant for, by their first method
        self._behind = behind
        self._session = session
        self._dice = random.Random(5)
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._passes = asyncio.Event()  # cleared while nothing is passed on to the chain
        self._passes.set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def become(self, **faults: Any) -> None:
        """Have exactly these faults from now on; connections that hang are let go."""
        listened = not self.faults.refuses
        self.faults = Faults(**{name: tuple(v) if isinstance(v, list) else v for name, v in faults.items()})
        if listened and self.faults.refuses:
            await self.close()
        elif not listened and not self.faults.refuses:
            await self.open()

    async def behave(self) -> None:
        """Have no fault."""
        await self.become()

    def forget_counts(self) -> None:
        """Count from nothing."""
        self.methods.clear()
        self.calls.clear()
        self.hit.clear()
        self.posts = 0

    async def open(self, port: int = 0) -> None:
        """Listen: at the port of before, where there was one."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/faults", self._switch)
        app.router.add_get("/counts", self._tell)
        app.router.add_post("/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port or port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def close(self) -> None:
        """Listen no more; open connections end."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Pass nothing on to the chain meanwhile: it waits. What was under way has been answered by then."""
        self._passes.clear()
        try:
            await self._idle.wait()
            yield
        finally:
            self._passes.set()

    async def _switch(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if wanted.get("refuses"):
            return web.Response(status=400, text="a port that is closed could not be opened again by this way\n")
        await self.become(**wanted)
        return web.json_response(asdict(self.faults))

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.json_response({"posts": self.posts, "methods": self.methods, "calls": self.calls, "hit": self.hit})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.note(body)
        asked = body if isinstance(body, list) else [body]
        faults = self.faults
        meant = not faults.only or any(each["method"] in faults.only for each in asked)
        if not meant or self._dice.random() >= faults.odds:
            faults = Faults()
        elif faults != Faults():
            self.hit[asked[0]["method"]] += 1
        return await self._answer_connection(request, body, faults)

    async def _answer_connection(self, request: web.Request, body: Any, faults: Faults) -> web.StreamResponse:
        if faults.slow_s:
            await asyncio.sleep(faults.slow_s)
        if faults.loses_answers:
            await self._ask(body)
        if faults.hangs:
            await self._wait_while(faults)
        if faults.cuts or faults.hangs or faults.loses_answers:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if faults.busy:
            wait = {} if faults.retry_after_s is None else {"Retry-After": str(faults.retry_after_s)}
            return web.Response(status=429, headers=wait, text="too many requests")
        if faults.status is not None:
            return web.Response(
                status=faults.status, text="<html><h1>Bad gateway</h1></html>", content_type="text/html"
            )
        if faults.garbage:
            return web.Response(text="no JSON at all")
        if faults.empty:
            return web.Response()
        answer = await self._answer(body, faults)
        refused = faults.log_status != 200 and isinstance(answer, dict) and "error" in answer
        return web.json_response(answer, status=faults.log_status if refused else 200)

    async def _wait_while(self, faults: Faults) -> None:
        for _ in range(int(_HANG_S / 0.05)):
            if self.faults is not faults:
                return
            await asyncio.sleep(0.05)

    async def _answer(self, body: Any, faults: Faults) -> Any:
        if not isinstance(body, list):
            return (await self._answer_each([body], faults))[0]
        if faults.no_batches:
            return _error(body[0], -32600, "batches are not taken")
        answers = await self._answer_each(body, faults)
        return answers[:-1] if faults.drops_of_batch else answers

    async def _answer_each(self, asked: list[dict[str, Any]], faults: Faults) -> list[dict[str, Any]]:
        if faults == Faults():
            return list(await self._ask(asked))
        head = await self._head(faults)
        answers: list[dict[str, Any]] = [{} for _ in asked]
        passed: list[tuple[int, dict[str, Any]]] = []
        for index, each in enumerate(asked):
            made_up = _made_up(each, faults, head)
            if made_up is None:
                passed.append((index, each | {"params": _at_most(each, head)}))
            else:
                answers[index] = made_up
        if passed:
            for (index, each), answer in zip(passed, await self._ask([each for _, each in passed]), strict=True):
                answers[index] = _altered(each["method"], answer, faults, head)
        return answers

    async def _head(self, faults: Faults) -> int | None:
        """The last block that it admits to know; None: all of them."""
        if not faults.stale_by and faults.stuck_at is None:
            return None
        (answer,) = await self._ask([{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}])
        head = int(answer["result"], 16) - faults.stale_by
        return max(0, head if faults.stuck_at is None else min(head, faults.stuck_at))

    async def _ask(self, body: Any) -> Any:
        await self._passes.wait()
        self._under_way += 1
        self._idle.clear()
        try:
            async with self._session.post(self._behind, json=body) as answer:
                return await answer.json(content_type=None)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


@asynccontextmanager
async def an_unruly_rpc(behind: str, *, port: int = 0) -> AsyncIterator[UnrulyRpc]:
    """An endpoint before `behind` that has no fault yet."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        endpoint = UnrulyRpc(behind, session)
        await endpoint.open(port)
        try:
            yield endpoint
        finally:
            await endpoint.close()


def _made_up(asked: dict[str, Any], faults: Faults, head: int | None) -> dict[str, Any] | None:
    """An answer that needs no chain; None where it takes one."""
    method, params = asked["method"], asked.get("params", [])
    if faults.no_results:
        return {"jsonrpc": "2.0", "id": asked["id"]}
    if method == "eth_chainId" and faults.chain_id is not None:
        return _result(asked, hex(faults.chain_id))
    if method == "eth_gasPrice" and faults.base_fee is not None:
        return _result(asked, hex(faults.base_fee))
    if method == "eth_blockNumber" and head is not None:
        return _result(asked, hex(head))
    if (
        method == "eth_call"
        and faults.reverts
        and ("all" in faults.reverts or params[0]["data"][:10] in faults.reverts)
    ):
        return _error(asked, 3, "execution reverted: made up")
    if method == "eth_getLogs" and faults.log_span is not None:
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        if last - first + 1 > faults.log_span:
            words = faults.log_words.format(
                span=faults.log_span, first=hex(first), last=hex(first + faults.log_span - 1)
            )
            return _error(asked, -32005 if "results" in words else -32602, words)
    at = _block_of(method, params)
    if head is not None and at is not None and at not in _TAGS and int(at, 16) > head:
        return _result(asked, None) if method == "eth_getBlockByNumber" else _error(asked, -32000, "header not found")
    return None


def _at_most(asked: dict[str, Any], head: int | None) -> list[Any]:
    """The parameters, with no block above `head`."""
    method, params = asked["method"], list(asked.get("params", []))
    if head is None:
        return params
    if _block_of(method, params) in _TAGS:
        params[_AT[method]] = hex(head)
    if method == "eth_getLogs":
        last = params[0].get("toBlock", "latest")
        params[0] = params[0] | {"toBlock": hex(head if last in _TAGS else min(head, int(last, 16)))}
    return params


def _block_of(method: str, params: list[Any]) -> str | None:
    place = _AT.get(method)
    return params[place] if place is not None and len(params) > place else None


def _altered(method: str, answer: dict[str, Any], faults: Faults, head: int | None) -> dict[str, Any]:
    found = answer.get("result")
    if not isinstance(found, dict):
        return answer
    if method == "eth_getTransactionReceipt" and head is not None and int(found["blockNumber"], 16) > head:
        return answer | {"result": None}
    if method not in {"eth_getBlockByNumber", "eth_getBlockByHash"}:
        return answer
    number = int(found["number"], 16)
    if faults.base_fee is not None:
        found = found | {"baseFeePerGas": hex(faults.base_fee)}
    if faults.l1_field:
        found = found | {"l1BlockNumber": hex(number)}
    if faults.forked_at is not None and number >= faults.forked_at:
        found = found | {"hash": _other(found["hash"])}
        if number > faults.forked_at:
            found = found | {"parentHash": _other(found["parentHash"])}
    return answer | {"result": found}


def _other(block_hash: str) -> str:
    return "0x" + bytes(byte ^ 0xFF for byte in bytes.fromhex(block_hash[2:])).hex()


def _result(asked: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked["id"], "result": result}


def _error(asked: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": code, "message": message}}


async def _serve(behind: str, port: int) -> None:
    async with an_unruly_rpc(behind, port=port) as endpoint:
        print(json.dumps({"url": endpoint.url}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--behind", required=True)
    options.add_argument("--port", type=int, default=0)
    given = options.parse_args()
    asyncio.run(_serve(given.behind, given.port))
