"""Where workers come in: the gRPC stream that they hold open, and POST /transcodeResults."""

import logging
import time
from typing import Any

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from livefleet.kernel import Pixels
from livefleet.media import TranscodeResult
from livefleet.wire.capabilities import DEFAULT_CAPABILITIES, Capabilities
from livefleet.wire.multipart import BadUpload
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.results import ERROR_TYPE, MULTIPART_TYPE, PROTOCOL_VERSION, ResultReader
from livefleet.wire.server.backends import RpcHandler
from livefleet.wire.server.http_answers import BodyTooLarge, plain, read_body
from livefleet.wire.server.peers import peer_of
from livefleet.wire.server.worker_pool import WorkerPool
from livefleet.wire.translate import capabilities_from_proto, task_to_proto
from livefleet.wire.work_stats import SegmentStats

__all__ = ["WorkerDoor"]

log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]
_MAX_ERROR = 64 * 1024  # bytes of an error text
_OK = "OK"


class WorkerDoor:
    """net.Transcoder and the upload route, over one pool. There is no door without a secret."""

    def __init__(self, pool: WorkerPool, stats: SegmentStats | None = None) -> None:
        self._pool = pool
        self._stats = stats or SegmentStats()

    def handler(self) -> RpcHandler:
        """For the front door's gRPC server."""
        return grpc.method_handlers_generic_handler(
            "net.Transcoder",
            {
                "RegisterTranscoder": grpc.unary_stream_rpc_method_handler(
                    self.register,
                    request_deserializer=pb.RegisterRequest.FromString,
                    response_serializer=pb.NotifySegment.SerializeToString,
                )
            },
        )

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [Route("/transcodeResults", self.results, methods=["POST"])]

    async def register(self, request: pb.RegisterRequest, context: _Context) -> None:
        """Hold a worker's stream. It ends without an error when the worker shall connect anew.

        Workers stop for good on these two texts, and on status CANCELLED, which is therefore never sent.
        """
        shown = request.secret.encode()
        if self._pool.gate.age_of(shown) is None:
            log.warning("worker.refused", extra={"peer": peer_of(context), "reason": "invalid secret"})
            await context.abort(grpc.StatusCode.UNKNOWN, "invalid secret")
        if request.capacity <= 0:
            await context.abort(grpc.StatusCode.UNKNOWN, "zero capacity")
        capabilities = (
            capabilities_from_proto(request.capabilities)
            if request.HasField("capabilities")
            else Capabilities.of(DEFAULT_CAPABILITIES)
        )
        worker = self._pool.join(capabilities, request.capacity, peer_of(context), shown)
        try:
            while (task := await worker.outbox.get()) is not None:
                await context.write(task_to_proto(task))
        finally:
            self._pool.leave(worker)

    async def results(self, request: Request) -> Response:
        """Take a result. Who uploads is not checked beyond the secret; unknown tasks are ignored."""
        headers = request.headers
        credentials = headers.get("credentials", "").encode("latin-1")  # the bytes as they came: UTF-8
        if headers.get("authorization") != PROTOCOL_VERSION or self._pool.gate.age_of(credentials) is None:
            return plain("Unauthorized", 401)
        content_type = headers.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        if "/" not in media_type:
            return plain("mime: no media type", 415)
        try:
            task_id = int(headers.get("taskid", ""))
        except ValueError:
            return plain("Invalid Task ID", 400)
        self._pool.showed(task_id, credentials)
        if media_type == ERROR_TYPE:
            return await self._take_error(request, task_id)
        try:
            pixels = Pixels(int(headers.get("pixels", "")))
        except ValueError:
            return plain("Invalid Pixels", 400)
        if media_type != MULTIPART_TYPE:
            return Response(_OK)
        return await self._take_renditions(request, task_id, content_type, pixels)

    async def _take_error(self, request: Request, task_id: int) -> Response:
        try:
            text = (await read_body(request, _MAX_ERROR)).decode(errors="replace")
        except (BodyTooLarge, ClientDisconnect):
            text = "unreadable transcoding error"
        self._pool.fail(task_id, text)
        return Response(_OK)

    async def _take_renditions(self, request: Request, task_id: int, content_type: str, pixels: Pixels) -> Response:
        expected = self._pool.expects(task_id)
        if expected is None:
            return Response(_OK)  # too late or never ours; the body is not worth reading
        started = time.monotonic()
        try:
            reader = ResultReader(content_type, max_parts=2 * expected + 2)  # a hash may follow each rendition
            async for chunk in request.stream():
                reader.feed(chunk)
            renditions = reader.renditions()
        except (BadUpload, ClientDisconnect) as error:
            text = str(error) or "unexpected EOF"
            self._pool.fail(task_id, text)
            return plain(text, 500)
        self._stats.downloads_s.observe("", value=time.monotonic() - started)  # an upload names no stream
        self._pool.finish(task_id, TranscodeResult(renditions, pixels))
        return Response(_OK)
