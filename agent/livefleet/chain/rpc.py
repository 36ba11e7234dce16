"""JSON-RPC over several endpoints: web3.py's async HTTP provider as transport, failover and error sorting ours.

A call goes to the best endpoint that is not resting; an endpoint that cannot be reached, answers nonsense or lags
behind rests for a while and the same call goes on to the next. A revert is an answer, not a failure of the endpoint.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, cast

import aiohttp
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from livefleet.chain.abi import Function
from livefleet.chain.errors import NodeError, Reverted, WrongChain, revert_reason
from livefleet.chain.models import Call
from livefleet.kernel import Address, Clock, SystemClock, Transient

__all__ = ["Block", "EndpointHealth", "Read", "Rpc"]

log = logging.getLogger(__name__)

Block = int | Literal["latest", "pending"]
"""Which state a read looks at; a number is the node's own (L2) block number."""

_REST_S = 30.0
_BATCH_LIMIT = 100  # common cap of hosted endpoints
_LAGGING = ("header not found", "unknown block", "unsupported block number", "missing trie node", "block not found")
_BUSY_CODES = (-32005, 429)
_URL = re.compile(r"(https?://)(?:[^\s/@]*@)?([^\s/?#'\")]+)[^\s'\")]*")


@dataclass(frozen=True, slots=True)
class Read:
    """One view call of a contract."""

    to: Address
    function: Function
    args: tuple[Any, ...] = ()


@dataclass(slots=True)
class _Endpoint:
    url: str
    provider: AsyncHTTPProvider
    resting_until: float = 0.0
    verified: bool = False
    requests: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """What one endpoint was asked since the start, and whether it is left out for now."""

    url: str  # without what may be a key
    requests: int  # JSON-RPC requests, each of a batch counted
    failures: int  # times that it was not reachable, answered nonsense or lagged
    resting: bool


class _Unusable(Exception):
    """This endpoint cannot serve this call now."""


class _OtherChain(_Unusable):
    """This endpoint serves another chain."""


class Rpc:
    """Reads and raw sends. An async context manager that owns its HTTP sessions."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain_id: int | None = None,
        timeout_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._expected_chain_id = chain_id
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._endpoints = [
            _Endpoint(
                url,
                AsyncHTTPProvider(url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None),
            )
            for url in urls
        ]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints:
            await endpoint.provider.disconnect()

    @property
    def endpoints(self) -> tuple[EndpointHealth, ...]:
        """Every endpoint in the declared order."""
        now = self._clock.monotonic()
        return tuple(
            EndpointHealth(_without_keys(e.url), e.requests, e.failures, e.resting_until > now) for e in self._endpoints
        )

    async def chain_id(self) -> int:
        """The chain's id, as every endpoint in use agrees. Raises WrongChain, Transient."""
        return _number(await self.request("eth_chainId"))

    async def request(self, method: str, *params: Any) -> Any:
        """One request's result. Raises Reverted, NodeError, Transient (no endpoint answers), WrongChain."""
        return (await self._send([(method, params)]))[0]

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of several requests, fewest round trips; the first error among them is raised."""
        results: list[Any] = []
        for start in range(0, len(requests), _BATCH_LIMIT):
            results += await self._send(requests[start : start + _BATCH_LIMIT])
        return results

    async def read(self, read: Read, *, block: Block = "latest") -> tuple[Any, ...]:
        """The values that one view returns."""
        return (await self.read_all([read], block=block))[0]

    async def read_all(self, reads: Sequence[Read], *, block: Block = "latest") -> list[tuple[Any, ...]]:
        """The values of several views, at one block when it is given by number."""
        at = block if isinstance(block, str) else hex(block)
        answers = await self.batch(
            [
                ("eth_call", ({"to": read.to, "data": "0x" + read.function.encode(*read.args).hex()}, at))
                for read in reads
            ]
        )
        return [read.function.decode(_data(answer)) for read, answer in zip(reads, answers, strict=True)]

    async def simulate(self, call: Call, sender: Address, *, block: Block = "latest") -> bytes:
        """What `call` would return if `sender` made it. Raises Reverted with the contract's reason."""
        at = block if isinstance(block, str) else hex(block)
        return _data(await self.request("eth_call", as_transaction(call, sender), at))

    async def estimate_gas(self, call: Call, sender: Address) -> int:
        """Gas that `call` needs now, Arbitrum's L1 part included. Raises Reverted."""
        return _number(await self.request("eth_estimateGas", as_transaction(call, sender)))

    async def block_number(self) -> int:
        """The node's latest (L2) block."""
        return _number(await self.request("eth_blockNumber"))

    async def has_code(self, address: Address) -> bool:
        """Whether a contract stands at `address`."""
        return bool(_data(await self.request("eth_getCode", address, "latest")))

    async def balance(self, address: Address) -> int:
        """Wei at `address`."""
        return _number(await self.request("eth_getBalance", address, "latest"))

    async def _send(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        failures: list[tuple[str, _Unusable]] = []
        for endpoint in self._in_order():
            try:
                await self._verify(endpoint)
                answers = await self._ask(endpoint, requests)
                return [_result(answer) for answer in answers]
            except _Unusable as error:
                failures.append((_without_keys(endpoint.url), error))
                endpoint.failures += 1
                if endpoint.resting_until <= self._clock.monotonic():
                    log.warning("rpc.endpoint_resting", extra={"url": _without_keys(endpoint.url), "error": str(error)})
                endpoint.resting_until = self._clock.monotonic() + _REST_S
        if not self._endpoints:
            raise WrongChain("no JSON-RPC endpoint is declared; give network.rpc")
        told = "; ".join(f"{url} {error}" for url, error in failures)
        if all(isinstance(error, _OtherChain) for _, error in failures):
            raise WrongChain(told)
        raise Transient(f"no JSON-RPC endpoint answers: {told}")

    def _in_order(self) -> list[_Endpoint]:
        now = self._clock.monotonic()
        return sorted(self._endpoints, key=lambda endpoint: endpoint.resting_until > now)

    async def _verify(self, endpoint: _Endpoint) -> None:
        if endpoint.verified:
            return
        found = _number(_result((await self._ask(endpoint, [("eth_chainId", ())]))[0]))
        if self._expected_chain_id is None:
            self._expected_chain_id = found
        if found != self._expected_chain_id:
            raise _OtherChain(f"serves chain {found}, not {self._expected_chain_id}")
        endpoint.verified = True

    async def _ask(self, endpoint: _Endpoint, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        endpoint.requests += len(requests)
        try:
            if len(requests) == 1:
                return [await endpoint.provider.make_request(RPCEndpoint(requests[0][0]), list(requests[0][1]))]
            answers = await endpoint.provider.make_batch_request(
                [(RPCEndpoint(method), list(params)) for method, params in requests]
            )
            if not isinstance(answers, list):  # the endpoint takes no batches
                answers = [
                    await endpoint.provider.make_request(RPCEndpoint(method), list(params))
                    for method, params in requests
                ]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _Unusable(_without_keys(f"{type(error).__name__} {error}".strip())) from error
        if len(answers) != len(requests):
            raise _Unusable(f"{len(answers)} answers to {len(requests)} requests")
        return list(answers)


def as_transaction(call: Call, sender: Address) -> dict[str, str]:
    """`call` in the form that eth_call and eth_estimateGas take."""
    return {"from": sender, "to": call.to, "data": "0x" + call.data.hex(), "value": hex(call.value)}


def _result(answer: Any) -> Any:
    if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
        raise _Unusable("an answer that is no JSON-RPC")
    error = answer.get("error")
    if error is None:
        return answer["result"]
    if isinstance(error, str):
        error = {"message": error}
    code, message = int(error.get("code") or 0), str(error.get("message", ""))
    raw = error.get("data")
    data = bytes.fromhex(raw[2:]) if isinstance(raw, str) and raw.startswith("0x") else b""
    if code == 3 or data or "execution reverted" in message:
        raise Reverted(revert_reason(data, message), data=data)
    if code in _BUSY_CODES or any(sign in message.lower() for sign in _LAGGING):
        raise _Unusable(message)
    raise NodeError(message or str(error), code=code)


def _without_keys(text: str) -> str:
    """`text` with each URL in it cut after its host: hosted endpoints carry their keys in what follows, or before."""
    return _URL.sub(r"\1\2", text)


def _number(raw: Any) -> int:
    return int(cast("str", raw), 16)


def _data(raw: Any) -> bytes:
    return bytes.fromhex(cast("str", raw)[2:])
