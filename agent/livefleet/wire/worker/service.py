"""This node as a worker of somebody's orchestrator: hold the stream open, do what comes down it.

           open_channel, RegisterTranscoder            stream lost, or ended by the orchestrator
waiting ------------------------------> joined ----------------------------> finishing jobs -> waiting (backoff)
           `invalid secret`, `zero capacity`
        ------------------------------> refused for good
"""

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import grpc
import httpx

from livefleet.kernel import Backoff, Condition, ConditionBoard, OutsideWorld, SessionId, Status, Transient, run_duty
from livefleet.wire.capabilities import WIRE_VERSION, Capabilities
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.errors import BadCredentials, NotWelcome, OrchestratorGone
from livefleet.wire.messages import SessionEnd
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.transcoding import LocalTranscoding
from livefleet.wire.translate import capabilities_to_proto, task_from_proto
from livefleet.wire.worker.jobs import JobRunner

__all__ = ["CONDITION", "Worker", "WorkerSnapshot"]

log = logging.getLogger(__name__)

CONDITION = "JoinedOrchestrator"

_FATAL = ("invalid secret", "zero capacity")
_CONNECT_TIMEOUT_S = 5.0
_KEEPALIVE_S = 20.0
_SETTLED_S = 1.0  # an orchestrator says nothing until there is work; one that refuses does so at once
_JOBS_PER_SESSION = 5


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """The worker as it is now. Counts grow from the start of the process."""

    orchestrator: str
    joined: bool
    jobs: int
    done: int
    failed: int
    pixels: int  # encoded


class Worker:
    """Joined while entered, as far as the orchestrator lets it.

    Leaving takes no new work, lets running jobs finish and upload for `drain_s`, then gives up the rest.
    """

    def __init__(
        self,
        *,
        orchestrator: str,
        secret: str,
        capacity: int,
        transcoder: LocalTranscoding,
        board: ConditionBoard,
        rng: random.Random,
        backoff: Backoff | None = None,
        drain_s: float = 30.0,
    ) -> None:
        self._endpoint = parse_endpoint(orchestrator)
        self._secret = secret
        self._capacity = capacity
        self._transcoder = transcoder
        self._board = board
        self._rng = rng
        self._backoff = backoff or Backoff()
        self._drain_s = drain_s
        self._client = httpx.AsyncClient(verify=False, http2=True)  # noqa: S501 -- nobody verifies certificates here
        self._runner = JobRunner(
            results_url=f"https://{self._endpoint}/transcodeResults",
            secret=secret,
            transcoder=transcoder,
            client=self._client,
            rng=rng,
        )
        self._group = asyncio.TaskGroup()
        self._duty: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._joined = False
        self._done = self._failed = self._pixels = 0

    async def __aenter__(self) -> Self:
        self._report(Status.UNKNOWN, "Connecting", f"connecting to {self._endpoint}")
        await self._client.__aenter__()
        await self._group.__aenter__()
        self._duty = self._group.create_task(
            run_duty("worker", self._serve, on_failure=self._report_failure, backoff=self._backoff, rng=self._rng),
            name="worker",
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._duty is not None
        self._duty.cancel()
        await asyncio.wait({self._duty})
        self._report(Status.FALSE, "Stopping", "the agent is stopping")
        await self._finish_jobs(self._drain_s)
        for job in self._jobs:
            job.cancel()
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's
        await self._client.aclose()

    def snapshot(self) -> WorkerSnapshot:
        """For /status and metrics."""
        return WorkerSnapshot(
            str(self._endpoint), self._joined, len(self._jobs), self._done, self._failed, self._pixels
        )

    async def _serve(self) -> None:
        """One stream, from registration to its end, which is always an error."""
        ids = self._transcoder.capability_ids
        if not ids:
            raise Transient("no transcoding device is ready yet", retry_after_s=0.5)
        own = Capabilities.of(ids, version=WIRE_VERSION)
        try:
            channel = await open_channel(self._endpoint, timeout_s=_CONNECT_TIMEOUT_S, keepalive_s=_KEEPALIVE_S)
        except OutsideWorld as error:
            raise OrchestratorGone(str(self._endpoint), str(error)) from error
        try:
            try:
                await self._read_stream(channel, own)
            finally:
                self._joined = False
                await channel.close(None)
        except OrchestratorGone as error:
            self._report_failure(error)
            # What runs is uploaded all the same; a new registration would count its sessions twice.
            await self._finish_jobs(None)
            raise

    async def _read_stream(self, channel: grpc.aio.Channel, own: Capabilities) -> None:
        register = channel.unary_stream(
            "/net.Transcoder/RegisterTranscoder",
            request_serializer=pb.RegisterRequest.SerializeToString,
            response_deserializer=pb.NotifySegment.FromString,
        )
        stream = register(
            pb.RegisterRequest(secret=self._secret, capacity=self._capacity, capabilities=capabilities_to_proto(own))
        )
        settled = asyncio.get_running_loop().call_later(_SETTLED_S, self._report_joined)
        try:
            async for message in stream:
                self._report_joined()
                await self._take(message, own)
        except grpc.aio.AioRpcError as error:
            text = error.details() or error.code().name
            if text in _FATAL:
                raise NotWelcome(str(self._endpoint), text) from error
            raise OrchestratorGone(str(self._endpoint), text) from error
        finally:
            settled.cancel()
            stream.cancel()
        raise OrchestratorGone(str(self._endpoint), "it ended the stream")

    async def _take(self, message: pb.NotifySegment, own: Capabilities) -> None:
        if not message.url:
            await self._transcoder.end_session(SessionId(message.segData.auth_token.session_id))
            return
        job = self._group.create_task(self._do(message, own), name=f"task-{message.taskId}")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _do(self, message: pb.NotifySegment, own: Capabilities) -> None:
        try:
            if len(self._jobs) > _JOBS_PER_SESSION * self._capacity:
                await self._runner.report_failure(message.taskId, "TranscoderBusy")
                return
            try:
                task = task_from_proto(message)
            except BadCredentials as error:
                await self._runner.report_failure(message.taskId, error.text)
                return
            assert not isinstance(task, SessionEnd)
            result = await self._runner.run(task, own)
        except OutsideWorld as error:
            self._failed += 1
            log.warning("task.not_delivered", extra={"error": str(error)})
            return
        except Exception:
            # One job's failure is that job's, never the end of the others.
            self._failed += 1
            log.exception("task.crashed", extra={"task": message.taskId})
            with contextlib.suppress(OutsideWorld):
                await self._runner.report_failure(message.taskId, "TranscoderStopped")
            return
        if result is None:
            self._failed += 1
        else:
            self._done += 1
            self._pixels += sum(rendition.pixels for rendition in result.renditions)

    async def _finish_jobs(self, patience_s: float | None) -> None:
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=patience_s)

    def _report_joined(self) -> None:
        if not self._joined:
            self._joined = True
            log.info("worker.joined", extra={"orchestrator": str(self._endpoint), "capacity": self._capacity})
            self._report(Status.TRUE, "Joined", f"working for {self._endpoint}")

    def _report_failure(self, error: BaseException) -> None:
        reason = "Refused" if isinstance(error, NotWelcome) else "Disconnected"
        self._report(Status.FALSE, reason, str(error))

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._board.report(Condition(CONDITION, status, reason, message))
