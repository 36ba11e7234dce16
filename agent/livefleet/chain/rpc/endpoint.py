"""One endpoint: what it is asked goes through here, and what it is worth is learnt here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain.errors import NodeError
from livefleet.chain.rpc.answers import Behind, Unusable, number, result_of
from livefleet.chain.rpc.budget import Budget
from livefleet.chain.rpc.header import Header
from livefleet.chain.rpc.score import EndpointState, Score
from livefleet.chain.rpc.tally import Tally
from livefleet.chain.rpc.transport import Asked, Transport, without_keys
from livefleet.kernel import Clock

__all__ = ["Endpoint", "EndpointHealth"]

_TAGS = ("latest", "pending", "safe", "finalized", "earliest")
_BLOCK_AT = {"eth_call": 1, "eth_getBalance": 1, "eth_getCode": 1, "eth_getTransactionCount": 1}


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """What one endpoint was asked since the start, and what it is worth now."""

    url: str  # without what may be a key
    requests: int  # JSON-RPC requests, each of a batch counted
    failures: int  # times that it was not reachable, answered nonsense, was too slow or had too much to do
    resting: bool
    state: EndpointState = EndpointState.HEALTHY
    is_behind: bool = False  # its head was too far below the best when all were compared
    why: str = ""  # it rests, or rested last
    rests_for_s: float = 0.0  # from now
    latency_s: float | None = None  # of late
    error_rate: float = 0.0  # of late, 0 to 1
    head: int | None = None  # the highest block that it has shown
    by_method: Mapping[str, int] | None = None  # requests since the start
    last_hour: Mapping[str, int] | None = None  # requests of the last hour, by method


class Endpoint:
    """Owns its connections; `close` ends them."""

    def __init__(self, url: str, *, requests_per_second: float | None, timeout_s: float, clock: Clock) -> None:
        self.name = without_keys(url)
        self.score = Score()
        self.chain_id: int | None = None
        """What it said when it was asked last; None: it has to be asked (again)."""
        self.refused_span: int | None = None
        """The fewest blocks whose logs it did not give at once."""
        self.failures = 0
        self._clock = clock
        self._budget = Budget(requests_per_second) if requests_per_second else None
        self._tally = Tally()
        self._transport = Transport(url, timeout_s=timeout_s, clock=clock, note=self._note)

    async def close(self) -> None:
        """End its connections."""
        await self._transport.close()

    async def ask(self, asked: Sequence[Asked]) -> list[Any]:
        """The results. Raises Reverted, NodeError; Unusable, Behind, Declined after having noted it."""
        began = self._clock.monotonic()
        try:
            answers = await self._transport.exchange(asked)
            now = self._clock.monotonic()
            self.score.answered(now - began, now)
            results = [result_of(answer, method) for (method, _), answer in zip(asked, answers, strict=True)]
        except Unusable as error:
            self.failed(str(error), error.retry_after_s)
            raise
        except Behind:
            block = max((at for each in asked if (at := _block_of(each)) is not None), default=None)
            if block is not None:
                self.score.lacks(block, self._clock.monotonic())
            raise
        try:
            for each, result in zip(asked, results, strict=True):
                self._learn(each, result)
        except NodeError as error:
            self.failed(str(error))
            raise Unusable(str(error)) from error
        return results

    def failed(self, why: str, retry_after_s: float | None = None) -> None:
        """It was asked in vain; it has to say again which chain it serves before it is believed."""
        self.failures += 1
        self.chain_id = None
        self.score.failed(why, self._clock.monotonic(), retry_after_s)

    def wait_s(self) -> float:
        """Seconds until its budget allows another request."""
        return 0.0 if self._budget is None else self._budget.wait_s(self._clock.monotonic())

    def state(self) -> EndpointState:
        """Whether it is left alone."""
        return self.score.state(self._clock.monotonic())

    def health(self) -> EndpointHealth:
        """For operators."""
        now, score = self._clock.monotonic(), self.score
        state = score.state(now)
        return EndpointHealth(
            url=self.name,
            requests=self._tally.total,
            failures=self.failures,
            resting=state is EndpointState.RESTING,
            state=state,
            is_behind=score.is_behind,
            why=score.why if state is not EndpointState.HEALTHY else "",
            rests_for_s=max(0.0, score.resting_until - now),
            latency_s=score.latency_s,
            error_rate=score.error_rate(now),
            head=score.head if score.head >= 0 else None,
            by_method=dict(self._tally.by_method),
            last_hour=dict(self._tally.last_hour(now)),
        )

    def _note(self, method: str) -> None:
        now = self._clock.monotonic()
        self._tally.note(method, now)
        if self._budget is not None:
            self._budget.take(1, now)

    def _learn(self, asked: Asked, result: Any) -> None:
        method = asked[0]
        if method == "eth_blockNumber":
            self.score.saw(number(result))
        elif method == "eth_getBlockByNumber" and result is not None:
            self.score.saw(Header.parse(result).number)
        elif (block := _block_of(asked)) is not None:
            self.score.saw(block)


def _block_of(asked: Asked) -> int | None:
    """The block that a request is about, where it names one by number."""
    method, params = asked
    if method == "eth_getBlockByNumber":
        at = params[0]
    else:
        place = _BLOCK_AT.get(method)
        at = params[place] if place is not None and len(params) > place else None
    return None if not isinstance(at, str) or at in _TAGS else number(at)
