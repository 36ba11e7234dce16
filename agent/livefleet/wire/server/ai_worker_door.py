"""Where AI workers come in: the gRPC stream that they hold open, and POST /aiResults."""

import asyncio
import logging
import re
import time
from functools import partial
from typing import Any

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from livefleet.ai import AiJob
from livefleet.wire.ai_events import EVENTS_TYPE
from livefleet.wire.ai_results import ERROR_TYPE, MULTIPART_TYPE, PROTOCOL_VERSION, AiResultReader
from livefleet.wire.capabilities import WIRE_VERSION, version_satisfies
from livefleet.wire.media_type import media_type_of
from livefleet.wire.multipart import BadUpload
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server.ai_stream_intake import StreamIntake
from livefleet.wire.server.ai_worker_pool import AiWorkerPool
from livefleet.wire.server.backends import RpcHandler
from livefleet.wire.server.http_answers import BodyTooLarge, plain, read_body
from livefleet.wire.server.peers import peer_of
from livefleet.wire.translate import ai_task_to_proto, registration_from_proto
from livefleet.wire.work_stats import AiStats

__all__ = ["AiWorkerDoor"]

log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]
_MAX_ERROR = 64 * 1024  # bytes of an error text
_OK = "OK"
_NUMBER = re.compile("[+-]?[0-9]{1,18}")


class AiWorkerDoor:
    """net.AIWorker and the upload route, over one pool. There is no door without a secret."""

    def __init__(self, pool: AiWorkerPool, stats: AiStats) -> None:
        self._pool = pool
        self._stats = stats

    def handler(self) -> RpcHandler:
        """For the front door's gRPC server."""
        return grpc.method_handlers_generic_handler(
            "net.AIWorker",
            {
                "RegisterAIWorker": grpc.unary_stream_rpc_method_handler(
                    self.register,
                    request_deserializer=pb.RegisterAIWorkerRequest.FromString,
                    response_serializer=pb.NotifyAIJob.SerializeToString,
                )
            },
        )

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [Route("/aiResults", self.results, methods=["POST"])]

    async def register(self, request: pb.RegisterAIWorkerRequest, context: _Context) -> None:
        """Hold a worker's stream. It ends without an error when the worker shall connect anew.

        Workers stop for good on these two texts, and on status CANCELLED, which is therefore never sent. The reference
        takes workers without any model; here they hear that they are of no use. One older than this node's wire
        behaviour hears nothing and goes on trying, as in the reference: its next release may be welcome.
        """
        shown = request.secret.encode()
        if self._pool.gate.age_of(shown) is None:
            log.warning("ai_worker.refused", extra={"peer": peer_of(context), "reason": "invalid secret"})
            await context.abort(grpc.StatusCode.UNKNOWN, "invalid secret")
        registration = registration_from_proto(request)
        if not any(m.capacity for models in registration.capabilities.models.values() for m in models.values()):
            log.warning("ai_worker.refused", extra={"peer": peer_of(context), "reason": "zero capacity"})
            await context.abort(grpc.StatusCode.UNKNOWN, "zero capacity")
        version = registration.capabilities.version
        if not version_satisfies(WIRE_VERSION, version):
            reason = f"its version {version[:40]!r} is below {WIRE_VERSION}"
            log.warning("ai_worker.refused", extra={"peer": peer_of(context), "reason": reason})
            return
        worker = self._pool.join(registration, peer_of(context), shown)
        try:
            while (task := await worker.outbox.get()) is not None:
                await context.write(ai_task_to_proto(task))
        finally:
            self._pool.leave(worker)

    async def results(self, request: Request) -> Response:
        """Take a result. Who uploads is not checked beyond the secret; unknown tasks are ignored."""
        headers = request.headers
        if headers.get("authorization") != PROTOCOL_VERSION:
            return plain("Unauthorized", 401)
        credentials = headers.get("credentials", "").encode("latin-1")  # the bytes as they came: UTF-8
        if self._pool.gate.age_of(credentials) is None:
            return plain("invalid secret", 401)
        content_type = headers.get("content-type", "")
        try:
            media_type = media_type_of(content_type)
        except ValueError as error:
            return plain(str(error), 415)
        task = headers.get("taskid", "")
        if not _NUMBER.fullmatch(task):
            return plain("Invalid Task ID", 400)
        task_id = int(task)
        self._pool.heard_of(task_id)
        if media_type == ERROR_TYPE:
            return await self._take_error(request, task_id)
        expected = self._pool.expects(task_id)
        if expected is None:
            return Response(_OK)  # too late or never ours; the body is not worth reading
        if media_type != (EVENTS_TYPE if expected.streams else MULTIPART_TYPE):
            # The reference takes it and hands nothing on: the job would wait for 15 minutes.
            self._pool.fail(task_id, f"the worker's result is of the type {media_type[:80]}")
            return Response(_OK)
        if expected.streams:
            return await self._take_stream(request, task_id)
        return await self._take_result(request, task_id, content_type, expected)

    async def _take_error(self, request: Request, task_id: int) -> Response:
        try:
            text = (await read_body(request, _MAX_ERROR)).decode(errors="replace")
        except (BodyTooLarge, ClientDisconnect):
            text = "unreadable AI worker error"
        log.warning("ai_worker.job_failed", extra={"task": task_id, "error": text})
        self._pool.fail(task_id, text)
        return Response(_OK)

    async def _take_result(self, request: Request, task_id: int, content_type: str, expected: AiJob) -> Response:
        started = time.monotonic()
        try:
            announced = int(request.headers.get("content-length", "0"))  # a number, or nginx had refused it
            reader = AiResultReader(content_type, expected, announced=announced)
            async for piece in request.stream():
                reader.feed(piece)
            found = reader.result()
        except ClientDisconnect:
            return self._broken_off(task_id)
        except BadUpload as error:
            self._pool.fail(task_id, str(error))
            return plain(str(error), 500)
        self._stats.downloads_s.observe(expected.pipeline.value, expected.model_id, value=time.monotonic() - started)
        self._pool.finish(task_id, found)
        return Response(_OK)

    async def _take_stream(self, request: Request, task_id: int) -> Response:
        intake = StreamIntake(self._pool, task_id)
        try:
            async with asyncio.timeout(self._pool.longest_stream_s) as patience:
                await intake.take(request.stream(), on_unwanted=partial(patience.reschedule, 0))
            return Response(_OK)
        except TimeoutError:
            if intake.is_unwanted:
                return Response(_OK)
            return _failed(intake, "the worker's stream took too long")
        except ClientDisconnect:
            if not intake.has_begun:
                return self._broken_off(task_id)
            return _failed(intake, "the worker's stream broke off")
        except BadUpload as error:
            return _failed(intake, str(error))
        finally:
            if intake.has_begun:
                intake.fail("the worker's stream was given up")

    def _broken_off(self, task_id: int) -> Response:
        log.warning("ai_worker.upload_broke_off", extra={"task": task_id})
        self._pool.broke_off(task_id)
        return plain("unexpected EOF", 500)


def _failed(intake: StreamIntake, text: str) -> Response:
    intake.fail(text)
    return plain(text, 500)
