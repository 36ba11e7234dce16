"""POST /segment, POST /payment, GET /stream/...: video work over HTTP."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from livefleet.chain import Signer, keccak256
from livefleet.kernel import Blocking, Clock, LivefleetError, OutsideWorld, Refused
from livefleet.media import TranscodeError, TranscodeJob
from livefleet.media import TranscodeResult as Transcoded
from livefleet.payments import Payments
from livefleet.wire.capabilities import Capabilities
from livefleet.wire.input_errors import INPUT_ERRORS
from livefleet.wire.messages import OrchestratorInfo, SegmentOutcome
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.server.admission import Admission, Admitted
from livefleet.wire.server.counters import Counters, Suspension
from livefleet.wire.server.http_answers import (
    INTERNAL_ERROR,
    internal_error,
    plain,
    read_body,
    refusal,
)
from livefleet.wire.server.parts import CapableTranscoder
from livefleet.wire.server.results import Results, SegmentResults
from livefleet.wire.server.sessions import TranscodingSessions
from livefleet.wire.server.source_memory import SourceMemory
from livefleet.wire.server.sources import URI_BODY, Source, Sources
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.signing import result_message
from livefleet.wire.translate import info_to_payment_result, outcome_to_proto

__all__ = ["SegmentService"]

log = logging.getLogger(__name__)

_LEAST_RENDITION = 25  # bytes
_LEAST_CALL_S = 8.0
_LEAST_SCORED_S = 1.5  # gateways leave a node that takes longer than this and than the segment lasts
_HASH_INLINE = 256 * 1024  # bytes; more would hold the loop for a millisecond and longer
_OPENING = b"\x08\x00"
"""The body's first bytes: a TranscodeResult's `seq` of 0, which the real one overrides or equals.

nginx keeps the headers of an HTTP/2 answer in its TLS buffer until a byte of the body follows, and gateways wait for
headers 2 s at most, however long the work takes.
"""


class _Result(StreamingResponse):
    """A body that is finished whether or not the gateway still listens, as its work is: nobody watches for its end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


class SegmentService:
    """The video routes; the caller owns every part."""

    def __init__(
        self,
        *,
        admission: Admission,
        payments: Payments,
        signer: Signer | None,
        sessions: TranscodingSessions[SegmentOutcome],
        store: StreamStore,
        results: Results,
        sources: Sources,
        memory: SourceMemory,
        transcoder: CapableTranscoder,
        counters: Counters,
        hashing: Blocking,
        clock: Clock,
    ) -> None:
        self._admission = admission
        self._payments = payments
        self._signer = signer
        self._sessions = sessions
        self._store = store
        self._results = results
        self._sources = sources
        self._memory = memory
        self._transcoder = transcoder
        self._counters = counters
        self._hashing = hashing
        self._clock = clock

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [
            Route("/segment", self.segment, methods=["POST", "PUT"]),
            Route("/payment", self.payment, methods=["POST"]),
            Route("/stream/{path:path}", self.stream, methods=["GET"]),
        ]

    async def segment(self, request: Request) -> Response:
        """Check, take the source, answer 200 at once, then transcode: gateways wait for headers only 2 s."""
        began = self._clock.monotonic()
        admitted: Admitted | None = None
        try:
            admitted = self._admission.check_headers(request)
            info = await self._info(admitted, None)
            await self._payments.receive(admitted.payment, admitted.token.session)
            self._payments.require_balance(admitted.payment, admitted.token.session, price=admitted.price)
            async with self._place(admitted):
                self._counters.work.take(admitted.credentials.manifest_key, admitted.credentials.duration_ms)
                source = await self._source(request, admitted.credentials)
        except LivefleetError as error:
            if admitted is not None:  # else anybody could say it, and push out what counts
                self._suspended(admitted, error.text if isinstance(error, Refused) else INTERNAL_ERROR)
            return self._refusal("segment", error)
        except ClientDisconnect:
            return internal_error()
        return _Result(self._result(admitted, info, source, began))

    async def payment(self, request: Request) -> Response:
        """Take a payment outside of a segment. A full node takes it too: live AI pays under other sessions."""
        try:
            admitted = self._admission.check_headers(request, capped=False)
            # Always priced with capabilities, an empty set where none were sent.
            info = await self._info(admitted, admitted.credentials.capabilities or Capabilities())
            await self._payments.receive(admitted.payment, admitted.credentials.manifest_key)
        except LivefleetError as error:
            return self._refusal("payment", error)
        return Response(info_to_payment_result(info).SerializeToString())

    async def stream(self, request: Request) -> Response:
        """A stored file."""
        stored = self._store.get(request.path_params["path"])
        if stored is None:
            return plain("ErrNotFound", 404)
        return Response(
            stored.data,
            media_type=stored.media_type,
            headers={
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Expose-Headers": "Content-Length",
                "Cache-Control": "max-age=5",
            },
        )

    def _refusal(self, kind: str, error: LivefleetError) -> Response:
        """Refusals in the protocol's words; what is our own trouble as a bare 500."""
        self._counters.requests_refused += 1
        self._counters.refuse(kind, error)
        if isinstance(error, Refused):
            log.info("segment.refused", extra={"status": error.status, "text": error.text})
            return refusal(error)
        log.warning("segment.not_taken", extra={"error": str(error)})
        return internal_error()

    async def _info(self, admitted: Admitted, needs: Capabilities | None) -> OrchestratorInfo:
        """A quote refused here (the sender's reserve shrank, say) is a 500, unlike a refused payment."""
        try:
            return await self._admission.info(
                admitted.payment.sender, needs=needs, token=admitted.token, session=admitted.token.session
            )
        except Refused as error:
            log.warning("quote.refused", extra={"sender": admitted.payment.sender, "error": str(error)})
            raise Refused(INTERNAL_ERROR, status=500) from error

    @asynccontextmanager
    async def _place(self, admitted: Admitted) -> AsyncIterator[None]:
        """Hold a place for the segment, and for its session if that is new, while the source is read."""
        session = admitted.place
        with self._sessions.arriving(session):
            if not self._transcoder.open_session(session, admitted.credentials.profiles):
                raise Refused("OrchestratorCapped", status=403)
            try:
                yield
            except BaseException:
                if session not in self._sessions:
                    await self._transcoder.end_session(session)
                raise

    async def _source(self, request: Request, credentials: SegmentCredentials) -> Source:
        started = time.monotonic()
        arriving = self._memory.begin()
        try:
            # A gateway has given the whole call up by then; whoever goes on sending only holds a place.
            async with asyncio.timeout(max(_LEAST_CALL_S, 4 * credentials.duration_ms / 1000)):
                body = await read_body(request, arriving=arriving)
        except TimeoutError as error:
            raise OutsideWorld("the source did not come in time") from error
        is_url = request.headers.get("content-type") == URI_BODY
        source = await self._sources.fetch(body, self._memory.begin()) if is_url else Source(body, held=arriving)
        self._counters.work.downloads_s.observe(credentials.manifest_key, value=time.monotonic() - started)
        if len(source.data) > _HASH_INLINE:
            digest = await self._hashing.run(keccak256, source.data)
        else:
            digest = keccak256(source.data)
        if digest != credentials.source_hash and (self._payments.on_chain or any(credentials.source_hash)):
            raise Refused("Forbidden", status=403)  # off-chain clients may leave the hash out
        return source

    def _suspended(self, admitted: Admitted, error: str) -> None:
        """A gateway that is told this, or had to wait so long, leaves."""
        gateway = admitted.payment.sender or ""
        self._counters.suspensions.append(Suspension(self._clock.now(), gateway, error))

    async def _result(
        self, admitted: Admitted, info: OrchestratorInfo, source: Source, began: float
    ) -> AsyncIterator[bytes]:
        results = self._results.begin(admitted.place, admitted.credentials)

        async def work() -> SegmentOutcome:
            return await self._transcode(admitted, info, source, results)

        yield _OPENING
        try:
            outcome = await results.settle(await self._sessions.run(admitted.place, work, on_end=source.drop))
        except Refused as error:
            source.drop()
            outcome = SegmentOutcome(admitted.credentials.sequence, info, error=error.text)
        took_s, duration_s = self._clock.monotonic() - began, admitted.credentials.duration_ms / 1000
        if outcome.error is not None and outcome.error not in INPUT_ERRORS:
            self._suspended(admitted, outcome.error)
        elif took_s > max(_LEAST_SCORED_S, duration_s):
            self._suspended(admitted, f"{took_s:.1f} s for a segment of {duration_s:.1f} s")
        if outcome.error is not None:
            self._counters.segments_failed += 1
            log.warning(
                "segment.failed",
                extra={
                    "session": admitted.place,
                    "sequence": outcome.sequence,
                    "error": outcome.error,
                },
            )
        yield outcome_to_proto(outcome).SerializeToString()

    async def _transcode(
        self, admitted: Admitted, info: OrchestratorInfo, source: Source, results: SegmentResults
    ) -> SegmentOutcome:
        """The session's turn: runs to its end, debit included, whether or not the gateway still listens."""
        credentials, session = admitted.credentials, admitted.place
        self._admission.working(admitted)
        started = time.monotonic()
        job = TranscodeJob(
            session=session,
            sequence=credentials.sequence,
            source=source.data,
            duration_ms=credentials.duration_ms,
            profiles=credentials.profiles,
            orchestrator_id=self._payments.recipient if self._payments.on_chain else "offchain",
            clip_from_ms=credentials.clip_from_ms,
            clip_to_ms=credentials.clip_to_ms,
            calc_perceptual_hash=credentials.calc_perceptual_hash,
            force_reinit=credentials.force_session_reinit,
            source_url=source.url if source.url and self._results.knows(source.url, credentials) else None,
        )
        try:
            done = await self._transcoder.transcode(job, credentials.capabilities)
            _check(done, credentials)
        except TranscodeError as error:
            return SegmentOutcome(credentials.sequence, info, error=error.text)
        stored = results.take(done.renditions)
        pixels = sum(rendition.pixels for rendition in stored)
        signature = await self._sign(done)  # before the debit: a key that is elsewhere may not answer
        self._payments.debit(admitted.payment, admitted.token.session, pixels, price=admitted.price)
        self._counters.segments_ok += 1
        self._counters.pixels += pixels
        self._counters.work.pixels.add(credentials.manifest_key, by=pixels)
        self._counters.durations_s.append(time.monotonic() - started)
        log.debug("segment.done", extra={"session": session, "sequence": credentials.sequence, "pixels": pixels})
        return SegmentOutcome(credentials.sequence, info, renditions=stored, signature=signature)

    async def _sign(self, done: Transcoded) -> bytes:
        if self._signer is None or not self._payments.on_chain:
            return b""
        message = await self._hashing.run(result_message, [rendition.data for rendition in done.renditions])
        return await self._signer.sign(message)


def _check(done: Transcoded, credentials: SegmentCredentials) -> None:
    if len(done.renditions) != len(credentials.profiles):
        raise TranscodeError("MismatchedSegments")
    if any(len(rendition.data) < _LEAST_RENDITION for rendition in done.renditions):
        raise TranscodeError("ZeroSegments")
