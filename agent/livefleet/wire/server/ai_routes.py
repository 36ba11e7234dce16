"""AI work over HTTP. Errors are plain text, which gateways match by wording."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from livefleet.ai import SERVED, AiJob, Kind, NoCapacity, RunnerRefused, check_fields, job_of, kind_of
from livefleet.kernel import LivefleetError, Refused, SessionId
from livefleet.payments import ModelAccounts, Payments, ReceivedPayment
from livefleet.wire.ai_events import EVENTS_TYPE, encode_event, has_choice, is_last
from livefleet.wire.ai_film import with_film
from livefleet.wire.ai_models import Ai, Place
from livefleet.wire.capabilities import capability_of_pipeline
from livefleet.wire.server.admission import Admission
from livefleet.wire.server.ai_answers import AiAnswers
from livefleet.wire.server.ai_requests import read_request
from livefleet.wire.server.counters import Counters
from livefleet.wire.server.http_answers import internal_error, refusal
from livefleet.wire.server.listening import while_listening
from livefleet.wire.server.source_memory import SourceMemory
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.storage import OwnStore

__all__ = ["AiService"]

log = logging.getLogger(__name__)

_NEW_GATEWAY = "Livepeer-AI-Worker-1.0"  # in `Authorization`: a version mark; without it pictures go back inline
_Chunks = AsyncGenerator[Mapping[str, Any], None]


@dataclass(frozen=True, slots=True)
class _Paid:
    """A job that may be done: a place is held, and the payment is taken."""

    kind: Kind[Any]
    job: AiJob
    place: Place
    payment: ReceivedPayment
    balance: SessionId
    price: Fraction | None  # wei per unit


class AiService:
    """The AI routes. A place on the model is held before the payment is taken and given back whatever happens."""

    def __init__(
        self,
        *,
        admission: Admission,
        payments: Payments,
        ai: Ai,
        store: StreamStore,
        counters: Counters,
        rng: random.Random,
        memory: SourceMemory,
        own_store: OwnStore | None = None,
        accounts: ModelAccounts | None = None,
    ) -> None:
        self._accounts = accounts
        self._admission = admission
        self._payments = payments
        self._ai = ai
        self._answers = AiAnswers(memory=store, own=own_store, rng=rng)
        self._counters = counters
        self._memory = memory
        self._under_way = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [Route(f"/{pipeline}", _Endpoint(self, kind_of(pipeline)), methods=["POST"]) for pipeline in SERVED]

    @property
    def under_way(self) -> int:
        """Requests that hold a place."""
        return self._under_way

    async def drain(self) -> None:
        """Take no work any more, and return when all that was taken is done: workers still need the door for it."""
        self._draining = True
        await self._idle.wait()

    async def serve(self, request: Request, kind: Kind[Any], send: Send) -> ASGIApp | None:
        """The answer, or None where it has been sent already or nobody waits for one.

        The place is free when it returns: whoever reads an answer slowly holds none.
        """
        try:
            with ExitStack() as held:
                return await self._do(request, kind, held, send)
        except LivefleetError as error:
            self._counters.images_failed += 1
            self._counters.refuse(kind.pipeline.value, error)
            log.info("ai_job.refused", extra={"pipeline": kind.pipeline.value, "error": str(error)})
            return refusal(error) if isinstance(error, Refused) else internal_error()
        except ClientDisconnect:
            log.info("ai_job.gateway_gone", extra={"pipeline": kind.pipeline.value})
            return None

    async def _do(self, request: Request, kind: Kind[Any], held: ExitStack, send: Send) -> ASGIApp | None:
        """The protocol's order: whoever is refused has lost nothing, and who pays has a place."""
        asked = await read_request(request, kind, self._memory.begin())
        fields = check_fields(kind, asked.fields, asked.upload)
        admitted = self._admission.check_headers(request)
        job = job_of(kind, fields, asked.upload)
        place = self._reserve(job, held)
        paid = await self._pay(kind, job, place, admitted.payment)
        if job.streams:
            return await while_listening(request.receive, self._stream(paid, send))
        is_new = request.headers.get("authorization") == _NEW_GATEWAY
        return await while_listening(request.receive, self._run(paid, new_gateway=is_new))

    def _reserve(self, job: AiJob, held: ExitStack) -> Place:
        if self._draining:
            raise NoCapacity(job.model_id, "the node is stopping")
        held.enter_context(self._counted())
        return held.enter_context(self._ai.reserve(job.pipeline, job.model_id))

    async def _pay(self, kind: Kind[Any], job: AiJob, place: Place, payment: ReceivedPayment) -> _Paid:
        balance = SessionId(f"{capability_of_pipeline(job.pipeline):d}_{job.model_id}")
        await self._payments.receive(payment, balance)
        quote = await self._payments.quote(payment.sender, session=balance, models=((job.pipeline, job.model_id),))
        self._payments.require_balance(payment, balance, price=quote.price)
        return _Paid(kind, job, place, payment, balance, quote.price)

    async def _run(self, paid: _Paid, *, new_gateway: bool) -> Response:
        started = time.monotonic()
        with self._failures_counted(paid):
            result = await with_film(paid.job, await paid.place.run(paid.job))
            answer = await self._answers.of(paid.job, result, new_gateway=new_gateway)
        took_s = time.monotonic() - started
        self._debit(paid)
        self._finished(paid, took_s)
        self._counters.images_ok += len(result.media)
        return answer

    async def _stream(self, paid: _Paid, send: Send) -> "_LastEvent | None":
        """Send each chunk when it comes, but the last, which gateways take for the end: the place is free before it.

        What goes wrong after the first can only be told by breaking off.
        """
        started = time.monotonic()
        async with aclosing(_readable(paid.place.stream(paid.job))) as chunks:
            with self._failures_counted(paid):
                first = await anext(chunks, None)
                if first is None:
                    raise RunnerRefused(f"{paid.kind.title} container sent no answer")
            self._debit(paid)
            await send(_EVENTS_BEGIN)
            try:
                last = first if is_last(first) else await self._send_rest(first, chunks, send)
            except LivefleetError as error:
                self._counters.images_failed += 1
                self._counters.ai.fail(error, paid.job.pipeline, paid.job.model_id, paid.payment.sender or "")
                log.warning("ai_job.broke_off", extra={"pipeline": paid.job.pipeline.value, "error": str(error)})
                return None
        self._finished(paid, time.monotonic() - started)
        return _LastEvent(last)

    async def _send_rest(self, first: Mapping[str, Any], chunks: _Chunks, send: Send) -> Mapping[str, Any] | None:
        """All but the one that says why it ends, which comes back; None where there is none."""
        await send(_part(encode_event(first)))
        async for chunk in chunks:
            if is_last(chunk):
                return chunk
            await send(_part(encode_event(chunk)))
        return None

    def _debit(self, paid: _Paid) -> None:
        job = paid.job
        fee = self._payments.debit(paid.payment, paid.balance, job.units, price=paid.price)
        if self._accounts is not None:
            self._accounts.charge(job.pipeline.value, job.model_id, units=job.units, fee=fee)

    def _finished(self, paid: _Paid, took_s: float) -> None:
        job = paid.job
        self._counters.ai.finish(
            job.pipeline,
            job.model_id,
            latency_score=took_s / max(1, job.units) / max(1, job.effort),
            price=float(paid.payment.expected_price or 0),
        )

    @contextlib.contextmanager
    def _failures_counted(self, paid: _Paid) -> Iterator[None]:
        try:
            yield
        except LivefleetError as error:
            self._counters.ai.fail(error, paid.job.pipeline, paid.job.model_id, paid.payment.sender or "")
            raise

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


class _Endpoint:
    """One pipeline's route: an ASGI application, since a stream is sent while its place is held."""

    def __init__(self, service: AiService, kind: Kind[Any]) -> None:
        self._service = service
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._service.serve(Request(scope, receive), self._kind, send)
        if answer is not None:
            await answer(scope, receive, send)


class _LastEvent:
    """The end of a stream, as an ASGI application."""

    def __init__(self, chunk: Mapping[str, Any] | None) -> None:
        self._body = b"" if chunk is None else encode_event(chunk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(_part(self._body, more=False))


_EVENTS_BEGIN = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", EVENTS_TYPE.encode()),
        (b"cache-control", b"no-cache"),
        (b"connection", b"keep-alive"),
    ],
}


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _readable(chunks: _Chunks) -> _Chunks:
    """Those that Go's gateways can read: they look at `choices[0]` without asking."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if has_choice(chunk):
                yield chunk
