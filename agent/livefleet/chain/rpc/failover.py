"""Who of several endpoints is asked, who is asked next within the same call, and what is believed of them.

A call goes to the best endpoint and goes on to the next: when the first fails, and beside it when it takes much longer
than usual.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from livefleet.chain.errors import WrongChain
from livefleet.chain.rpc.answers import Behind, Declined, OtherChain, Unusable, number
from livefleet.chain.rpc.endpoint import Endpoint
from livefleet.chain.rpc.header import Header
from livefleet.chain.rpc.score import EndpointState
from livefleet.chain.rpc.transport import Asked
from livefleet.kernel import Clock, LivefleetError, Transient

__all__ = ["AllBehind", "Check", "Failover"]

log = logging.getLogger(__name__)

_SENT_TO = 2  # endpoints that a signed transaction is given to at once
_SECOND_ANSWER_S = 1.0  # how long the second of them may take after the first has answered
_SURVEY_S = 4.0  # what an endpoint may take to answer a survey
_SURVEY_EVERY_S = 900.0
_SURVEY_BEHIND_S = 15.0  # the same while an endpoint is behind

Check = Callable[[list[Any]], None]
"""Looks at results, and raises Behind where they come of an endpoint that has not seen enough."""


class AllBehind(Transient):
    """No endpoint has the block that is asked for."""


class Failover:
    """Asks the endpoints, of which the first is preferred; whoever made them closes them.

    `chain_id`: the one to be on; None: the first that an endpoint names. `lag_blocks`: how far apart the heads of
    endpoints may be that are all well.
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, chain_id: int | None, lag_blocks: int, clock: Clock) -> None:
        self._endpoints = endpoints
        self._expected_chain_id = chain_id
        self._lag_blocks = lag_blocks
        self._clock = clock
        self._surveyed_at = -_SURVEY_EVERY_S
        self._has_served = False

    async def send(
        self, requests: Sequence[Asked], *, block: int | None = None, check: Check | None = None
    ) -> list[Any]:
        """The results of the first endpoint that has them."""
        waiting = deque(await self._in_order(requests, block))
        failures: list[tuple[Endpoint, Exception]] = []
        under_way: dict[asyncio.Task[list[Any]], tuple[Endpoint, float]] = {}
        hedges = all(method.startswith("eth_") for method, _ in requests)  # what may be asked twice
        try:
            while waiting or under_way:
                if waiting:
                    endpoint = waiting.popleft()
                    task = asyncio.create_task(self._attempt(endpoint, requests, check))
                    under_way[task] = (endpoint, self._clock.monotonic())
                patience_s = endpoint.score.patience_s() if waiting and hedges else None
                done, _ = await asyncio.wait(under_way, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    endpoint, began = under_way.pop(task)
                    error = task.exception()
                    if error is None:
                        self._has_served = True
                        self._note_overtaken(under_way, began)
                        return task.result()
                    if not isinstance(error, Unusable | Behind | Declined):
                        raise error
                    failures.append((endpoint, error))
        finally:
            await _cancel(under_way)
        raise self._nobody(failures)

    async def send_widely(self, asked: Asked) -> Any:
        """What one of the endpoints says that a transaction was given to; a refusal only where none took it."""
        chosen = [e for e in await self._in_order([asked], None) if e.state() is EndpointState.HEALTHY][:_SENT_TO]
        if len(chosen) < _SENT_TO:
            return (await self.send([asked]))[0]
        tasks = [asyncio.create_task(self._attempt(endpoint, [asked], None)) for endpoint in chosen]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(tasks, timeout=_SECOND_ANSWER_S)
            done = [task for task in tasks if task.done()]
            errors = [error for task in done if (error := task.exception()) is not None]
            for task in done:
                if task.exception() is None:
                    return task.result()[0]
        finally:
            await _cancel(tasks)
        for error in errors:
            if not isinstance(error, Unusable | Behind | Declined):
                raise error
        return (await self.send([asked]))[0]

    @property
    def wants_survey(self) -> bool:
        """Whether an endpoint's rest is over, or it is long since all of several were compared."""
        if any(endpoint.state() is EndpointState.RECOVERING for endpoint in self._endpoints):
            return True
        behind = any(endpoint.score.is_behind for endpoint in self._endpoints)
        every_s = _SURVEY_BEHIND_S if behind else _SURVEY_EVERY_S
        return len(self._endpoints) > 1 and self._clock.monotonic() - self._surveyed_at >= every_s

    async def survey(self, anchor: int | None = None, known: bytes = b"") -> None:
        """Ask every endpoint that does not rest for its chain, its head and block `anchor`.

        Finds what answers alone do not show: those on another chain or on a fork rest, those behind are asked last. Of
        endpoints that disagree about block `anchor`, which should be some blocks old, the larger number is believed,
        then those that say `known`.
        """
        self._surveyed_at = self._clock.monotonic()
        asked = [endpoint for endpoint in self._endpoints if endpoint.state() is not EndpointState.RESTING]
        answers = await asyncio.gather(*(self._survey_one(endpoint, anchor) for endpoint in asked))
        seen = {endpoint: found for endpoint, found in zip(asked, answers, strict=True) if found is not None}
        best = max((newest.number for newest, _ in seen.values()), default=0)
        for endpoint, (newest, _) in seen.items():
            endpoint.score.head = newest.number
            self._note_behind(endpoint, is_behind=best - newest.number > self._lag_blocks)
        votes = Counter(old.hash for _, old in seen.values() if old is not None)
        if len(votes) < 2:
            return
        believed = max(votes, key=lambda found: (votes[found], found == known))
        for endpoint, (_, old) in seen.items():
            if old is not None and old.hash != believed:
                why = f"is on a fork: its block {anchor} is 0x{old.hash.hex()}, others' is 0x{believed.hex()}"
                self._rest(endpoint, why)

    async def _survey_one(self, endpoint: Endpoint, anchor: int | None) -> tuple[Header, Header | None] | None:
        """Its newest block and its block `anchor`; None where it does not say."""
        asked: list[Asked] = [("eth_chainId", ()), ("eth_getBlockByNumber", ("latest", False))]
        if anchor is not None:
            asked.append(("eth_getBlockByNumber", (hex(anchor), False)))
        before = endpoint.state()
        try:
            async with asyncio.timeout(_SURVEY_S):
                chain_id, latest, *rest = await endpoint.ask(asked)
            self._believe(endpoint, number(chain_id))
            return Header.parse(latest), Header.parse(rest[0]) if rest and rest[0] is not None else None
        except TimeoutError:
            self._rest(endpoint, f"no answer in {_SURVEY_S:g} s")
        except OtherChain as error:
            self._rest(endpoint, str(error))
        except Unusable:
            self._tell_resting(endpoint, before)
        except (Behind, Declined, LivefleetError) as error:
            log.debug("rpc.survey", extra={"url": endpoint.name, "error": str(error)})
        return None

    async def _attempt(self, endpoint: Endpoint, requests: Sequence[Asked], check: Check | None) -> list[Any]:
        before = endpoint.state()
        try:
            if endpoint.chain_id is None and not (len(requests) == 1 and requests[0][0] == "eth_chainId"):
                self._believe(endpoint, number((await endpoint.ask([("eth_chainId", ())]))[0]))
            results = await endpoint.ask(requests)
            if endpoint.chain_id is None:
                self._believe(endpoint, number(results[0]))
            if check is not None:
                check(results)
            return results
        except OtherChain as error:
            endpoint.failed(str(error))
            self._tell_resting(endpoint, before)
            raise
        except Unusable:
            self._tell_resting(endpoint, before)
            raise
        except Behind as error:
            if check is not None:
                self._note_behind(endpoint, is_behind=True, why=str(error))
            raise
        except Declined as error:
            self._note_declined(endpoint, requests, error)
            raise

    def _believe(self, endpoint: Endpoint, chain_id: int) -> None:
        """Raises OtherChain."""
        if self._expected_chain_id is None:
            self._expected_chain_id = chain_id
        if chain_id != self._expected_chain_id:
            raise OtherChain(f"serves chain {chain_id}, not {self._expected_chain_id}")
        endpoint.chain_id = chain_id

    async def _in_order(self, requests: Sequence[Asked], block: int | None) -> list[Endpoint]:
        """Whom to ask, best first. Waits where the budgets of all that are well are used up."""
        well = [endpoint for endpoint in self._endpoints if endpoint.state() is EndpointState.HEALTHY]
        if wait_s := min((endpoint.wait_s() for endpoint in well or self._endpoints), default=0.0):
            await asyncio.sleep(wait_s)
        now = self._clock.monotonic()
        span = _log_span(requests)

        def place(endpoint: Endpoint) -> tuple[float, ...]:
            score = endpoint.score
            state = score.state(now)
            return (
                state,
                score.resting_until if state is EndpointState.RESTING else 0.0,
                endpoint.refused_span is not None and span >= endpoint.refused_span,
                endpoint.wait_s() > 0,
                0 if block is None else score.may_have(block, now),
                block is None and score.is_behind,
                score.grade(now),
            )

        return sorted(self._endpoints, key=place)

    def _note_overtaken(self, under_way: dict[asyncio.Task[list[Any]], tuple[Endpoint, float]], began: float) -> None:
        """Those that were asked before the one that answered are the slow ones."""
        now = self._clock.monotonic()
        for endpoint, asked_at in under_way.values():
            if asked_at < began:
                self._rest(endpoint, f"no answer in {now - asked_at:.1f} s, while another gave one")

    def _note_declined(self, endpoint: Endpoint, requests: Sequence[Asked], error: Declined) -> None:
        span = _log_span(requests)
        if span > 0 and (endpoint.refused_span is None or span < endpoint.refused_span):
            endpoint.refused_span = span
        log.debug("rpc.declined", extra={"url": endpoint.name, "error": str(error)})

    def _note_behind(self, endpoint: Endpoint, *, is_behind: bool, why: str = "") -> None:
        if is_behind and not endpoint.score.is_behind and len(self._endpoints) > 1:
            facts = {"url": endpoint.name, "head": endpoint.score.head, "error": why}
            log.warning("rpc.endpoint_behind", extra=facts)
        endpoint.score.is_behind = is_behind

    def _rest(self, endpoint: Endpoint, why: str) -> None:
        before = endpoint.state()
        endpoint.failed(why)
        self._tell_resting(endpoint, before)

    def _tell_resting(self, endpoint: Endpoint, before: EndpointState) -> None:
        if before is EndpointState.HEALTHY:
            log.warning("rpc.endpoint_resting", extra={"url": endpoint.name, "error": endpoint.score.why})

    def _nobody(self, failures: Sequence[tuple[Endpoint, Exception]]) -> Exception:
        """What to raise where no endpoint served."""
        if not self._endpoints:
            return WrongChain("no JSON-RPC endpoint is declared; give network.rpc")
        for _, error in failures:
            if isinstance(error, Declined):
                return error.error
        told = "; ".join(f"{endpoint.name} {error}" for endpoint, error in failures)
        if not self._has_served and all(isinstance(error, OtherChain) for _, error in failures):
            return WrongChain(told)
        if all(isinstance(error, Behind) for _, error in failures):
            return AllBehind(f"no JSON-RPC endpoint has the block: {told}")
        return Transient(f"no JSON-RPC endpoint answers: {told}")


def _log_span(requests: Sequence[Asked]) -> int:
    """Blocks whose logs are asked for; 0 for none."""
    spans = [
        number(params[0]["toBlock"]) - number(params[0]["fromBlock"]) + 1
        for method, params in requests
        if method == "eth_getLogs" and {"fromBlock", "toBlock"} <= params[0].keys()
    ]
    return max(spans, default=0)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
