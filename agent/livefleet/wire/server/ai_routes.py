"""AI work over HTTP. Errors are plain text, which gateways match by wording."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livefleet.ai import (
    SERVED,
    AiJob,
    AiResult,
    BadForm,
    BadRequest,
    Kind,
    Media,
    NoCapacity,
    kind_of,
    parse_job,
    read_fields,
)
from livefleet.kernel import LivefleetError, Refused, SessionId
from livefleet.payments import Payments
from livefleet.spec import Pipeline
from livefleet.wire.ai_models import Ai
from livefleet.wire.ai_results import EXTENSIONS
from livefleet.wire.auth import new_id
from livefleet.wire.capabilities import capability_of_pipeline
from livefleet.wire.server.admission import Admission, Admitted
from livefleet.wire.server.counters import Counters
from livefleet.wire.server.http_answers import internal_error, refusal
from livefleet.wire.server.stream_store import StreamStore

__all__ = ["AiService"]

log = logging.getLogger(__name__)

_NEW_GATEWAY = "Livepeer-AI-Worker-1.0"  # in `Authorization`: a version mark; without it results go back inline
_KEEP_S = 600.0


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
    ) -> None:
        self._admission = admission
        self._payments = payments
        self._ai = ai
        self._store = store
        self._counters = counters
        self._rng = rng
        self._under_way = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [Route(f"/{pipeline}", self._handler(pipeline), methods=["POST"]) for pipeline in SERVED]

    def _handler(self, pipeline: Pipeline) -> Callable[[Request], Awaitable[Response]]:
        kind = kind_of(pipeline)

        async def handle(request: Request) -> Response:
            return await self._answer(request, kind)

        return handle

    @property
    def under_way(self) -> int:
        """Requests that hold a place."""
        return self._under_way

    async def drain(self) -> None:
        """Take no work any more, and return when all that was taken is done: workers still need the door for it."""
        self._draining = True
        await self._idle.wait()

    async def _answer(self, request: Request, kind: Kind[Any]) -> Response:
        """Check, reserve, take the payment, do the work, charge its units."""
        try:
            job = parse_job(kind, *await _read(request, kind))
            admitted = self._admission.check_headers(request)
            result = await self._paid(admitted, job)
        except LivefleetError as error:
            self._counters.images_failed += 1
            self._counters.refuse(kind.pipeline.value, error)
            log.info("ai_job.refused", extra={"pipeline": kind.pipeline.value, "error": str(error)})
            return refusal(error) if isinstance(error, Refused) else internal_error()
        except ClientDisconnect:
            return internal_error()
        self._counters.images_ok += len(result.media)
        if request.headers.get("authorization") != _NEW_GATEWAY:
            return JSONResponse(result.with_data_urls())
        folder = new_id(self._rng)
        return JSONResponse(result.with_urls(lambda media: self._stored(folder, media)))

    async def _paid(self, admitted: Admitted, job: AiJob) -> AiResult:
        balance = SessionId(f"{capability_of_pipeline(job.pipeline):d}_{job.model_id}")
        with contextlib.ExitStack() as held:
            if self._draining:
                raise NoCapacity(job.model_id, "the node is stopping")
            place = held.enter_context(self._ai.reserve(job.pipeline, job.model_id))
            held.enter_context(self._counted())
            await self._payments.receive(admitted.payment, balance)
            quote = await self._payments.quote(
                admitted.payment.sender, session=balance, models=((job.pipeline, job.model_id),)
            )
            self._payments.require_balance(admitted.payment, balance, price=quote.price)
            started = time.monotonic()
            try:
                result = await place.run(job)
            except LivefleetError as error:
                sender = admitted.payment.sender or ""
                self._counters.ai.fail(error, job.pipeline, job.model_id, sender)
                raise
            took_s = time.monotonic() - started
            self._payments.debit(admitted.payment, balance, job.units, price=quote.price)
            self._counters.ai.finish(
                job.pipeline,
                job.model_id,
                latency_score=took_s / job.units / job.effort,
                price=float(admitted.payment.expected_price or 0),
            )
            return result

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

    def _stored(self, folder: str, media: Media) -> str:
        name = f"{new_id(self._rng)}{EXTENSIONS.get(media.content_type, '')}"
        return self._store.put(folder, "", name, media.data, keep_s=_KEEP_S)


async def _read(request: Request, kind: Kind[Any]) -> tuple[Mapping[str, Any], bytes | None]:
    try:
        return await read_fields(request, kind)
    except BadForm as error:
        raise BadRequest(kind.title, str(error)) from error
