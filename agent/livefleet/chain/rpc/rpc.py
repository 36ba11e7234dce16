"""JSON-RPC as the rest of the room uses it: reads, batches, simulations, headers, logs.

Each call goes on from endpoint to endpoint by itself (`failover`). A revert is an answer, not a failure of one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from livefleet.chain.abi import Function
from livefleet.chain.models import Call
from livefleet.chain.rpc.answers import Behind, number, raw_bytes
from livefleet.chain.rpc.endpoint import Endpoint, EndpointHealth
from livefleet.chain.rpc.failover import AllBehind, Failover
from livefleet.chain.rpc.header import Header
from livefleet.chain.rpc.transport import Asked
from livefleet.kernel import Address, Clock, SystemClock, Transient
from livefleet.spec import RpcEndpoint

__all__ = ["Block", "Read", "Rpc", "as_transaction"]

Block = int | Literal["latest", "pending"]
"""Which state a read looks at; a number is the node's own (L2) block number."""

_BATCH_LIMIT = 100  # common cap of hosted endpoints
_BEHIND_TRIES, _BEHIND_S = 2, 0.3  # further tries for a block that no endpoint has yet


@dataclass(frozen=True, slots=True)
class Read:
    """One view call of a contract."""

    to: Address
    function: Function
    args: tuple[Any, ...] = ()


class Rpc:
    """Reads and raw sends. An async context manager that owns its HTTP sessions.

    `lag_blocks`: how far behind the best an endpoint's head may be before others are asked first. `timeout_s`: what
    one endpoint may take where there is no other; where there is, its own usual latency decides much earlier.
    """

    def __init__(
        self,
        endpoints: Sequence[str | RpcEndpoint],
        *,
        chain_id: int | None = None,
        timeout_s: float = 20.0,
        lag_blocks: int = 40,
        clock: Clock | None = None,
    ) -> None:
        self.lag_blocks = lag_blocks
        """How far apart the heads of endpoints may be that are all well."""
        clock = clock or SystemClock()
        declared = [RpcEndpoint(url=each) if isinstance(each, str) else each for each in endpoints]
        self._endpoints = [
            Endpoint(each.url, requests_per_second=each.requests_per_second, timeout_s=timeout_s, clock=clock)
            for each in declared
        ]
        self._failover = Failover(self._endpoints, chain_id=chain_id, lag_blocks=lag_blocks, clock=clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints:
            await endpoint.close()

    @property
    def endpoints(self) -> tuple[EndpointHealth, ...]:
        """Every endpoint in the declared order."""
        return tuple(endpoint.health() for endpoint in self._endpoints)

    async def chain_id(self) -> int:
        """The chain's id, as every endpoint in use agrees. Raises WrongChain, Transient."""
        return number(await self.request("eth_chainId"))

    async def request(self, method: str, *params: Any) -> Any:
        """One request's result. Raises Reverted, NodeError, Transient (no endpoint answers), WrongChain.

        A signed transaction goes to two endpoints at once: it is the same one wherever it arrives, and one of them may
        be cut off from the others.
        """
        if method == "eth_sendRawTransaction":
            return await self._failover.send_widely((method, params))
        return (await self._failover.send([(method, params)]))[0]

    async def batch(self, requests: Sequence[Asked], *, block: int | None = None) -> list[Any]:
        """The results of several requests, fewest round trips; the first error among them is raised.

        `block`: the highest block that they are about; endpoints that have it are asked first.
        """
        results: list[Any] = []
        for start in range(0, len(requests), _BATCH_LIMIT):
            results += await self._send_when_there(requests[start : start + _BATCH_LIMIT], block)
        return results

    async def read(self, read: Read, *, block: Block = "latest") -> tuple[Any, ...]:
        """The values that one view returns."""
        return (await self.read_all([read], block=block))[0]

    async def read_all(self, reads: Sequence[Read], *, block: Block = "latest") -> list[tuple[Any, ...]]:
        """The values of several views, at one block when it is given by number."""
        calls = [_view(read, block) for read in reads]
        answers = await self.batch(calls, block=None if isinstance(block, str) else block)
        return [read.function.decode(raw_bytes(answer)) for read, answer in zip(reads, answers, strict=True)]

    async def simulate(self, call: Call, sender: Address, *, block: Block = "latest") -> bytes:
        """What `call` would return if `sender` made it. Raises Reverted with the contract's reason."""
        asked = ("eth_call", (as_transaction(call, sender), _tag(block)))
        return raw_bytes((await self.batch([asked], block=None if isinstance(block, str) else block))[0])

    async def estimate_gas(self, call: Call, sender: Address) -> int:
        """Gas that `call` needs now, Arbitrum's L1 part included. Raises Reverted."""
        return number(await self.request("eth_estimateGas", as_transaction(call, sender)))

    async def block_number(self) -> int:
        """The node's latest (L2) block."""
        return number(await self.request("eth_blockNumber"))

    async def has_code(self, address: Address) -> bool:
        """Whether a contract stands at `address`."""
        return bool(raw_bytes(await self.request("eth_getCode", address, "latest")))

    async def balance(self, address: Address) -> int:
        """Wei at `address`."""
        return number(await self.request("eth_getBalance", address, "latest"))

    async def latest(self, *, at_least: int = 0) -> Header:
        """The newest block's header, of an endpoint that has seen block `at_least` where there is one."""
        found: list[Header] = []

        def is_new_enough(results: list[Any]) -> None:
            found.append(Header.parse(results[0]))
            if found[-1].number < at_least:
                raise Behind(f"is at block {found[-1].number}, and block {at_least} was seen before")

        try:
            await self._failover.send([("eth_getBlockByNumber", ("latest", False))], check=is_new_enough)
        except Transient:
            if not found:
                raise
        return max(found, key=lambda header: header.number)

    async def headers(self, blocks: Sequence[int]) -> list[Header | None]:
        """These blocks' headers; None for those that the endpoint which answers does not have."""
        asked: list[Asked] = [("eth_getBlockByNumber", (hex(block), False)) for block in blocks]
        found = await self.batch(asked, block=max(blocks, default=None))
        return [None if raw is None else Header.parse(raw) for raw in found]

    async def logs(self, query: dict[str, Any], last: int) -> list[Any]:
        """eth_getLogs as it answers, of an endpoint that has seen block `last`. Raises RangeTooLarge, Transient."""
        asked: list[Asked] = [("eth_blockNumber", ()), ("eth_getLogs", (query,))]

        def has_seen(results: list[Any]) -> None:
            if number(results[0]) < last:
                raise Behind(f"is at block {number(results[0])}, and the logs of block {last} were asked for")

        _, found = await self._failover.send(asked, block=last, check=has_seen)
        return list(found)

    @property
    def wants_survey(self) -> bool:
        """Whether an endpoint's rest is over, or it is long since all of several were compared."""
        return self._failover.wants_survey

    async def survey(self, anchor: int | None = None, known: bytes = b"") -> None:
        """Compare the endpoints; those that are wrong rest, those behind are asked last. See `Failover.survey`."""
        await self._failover.survey(anchor, known)

    async def _send_when_there(self, requests: Sequence[Asked], block: int | None) -> list[Any]:
        """Nodes behind one hosted name differ by moments: a block that no endpoint has is waited for that long."""
        for _ in range(_BEHIND_TRIES):
            try:
                return await self._failover.send(requests, block=block)
            except AllBehind:
                await asyncio.sleep(_BEHIND_S)
        return await self._failover.send(requests, block=block)


def as_transaction(call: Call, sender: Address) -> dict[str, str]:
    """`call` in the form that eth_call and eth_estimateGas take."""
    return {"from": sender, "to": call.to, "data": "0x" + call.data.hex(), "value": hex(call.value)}


def _view(read: Read, block: Block) -> Asked:
    return "eth_call", ({"to": read.to, "data": "0x" + read.function.encode(*read.args).hex()}, _tag(block))


def _tag(block: Block) -> str:
    return block if isinstance(block, str) else hex(block)
