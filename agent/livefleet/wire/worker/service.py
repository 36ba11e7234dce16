"""This node's devices as a worker of somebody's orchestrator.

A drain ends the stream: the orchestrator moves the sessions to other workers.
"""

import asyncio
import contextlib
import logging
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import httpx
from google.protobuf.message import Message

from livefleet.kernel import Backoff, Clock, ConditionBoard, OutsideWorld, SessionId, SystemClock, Transient
from livefleet.wire.capabilities import WIRE_VERSION, Capabilities
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.errors import BadCredentials
from livefleet.wire.messages import SessionEnd
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.transcoding import LocalTranscoding
from livefleet.wire.translate import capabilities_to_proto, task_from_proto
from livefleet.wire.work_stats import SegmentStats
from livefleet.wire.worker.jobs import JobRunner
from livefleet.wire.worker.link import Registration, WorkerLink
from livefleet.wire.worker.secret import ShownSecret

__all__ = ["Worker", "WorkerSnapshot"]

log = logging.getLogger(__name__)

_JOBS_PER_SESSION = 5
_LOOK_S = 0.5


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
        clock: Clock | None = None,
    ) -> None:
        self._endpoint = parse_endpoint(orchestrator)
        self._secret = ShownSecret(secret, clock or SystemClock())
        self._capacity = capacity
        self._transcoder = transcoder
        self._client = httpx.AsyncClient(verify=False, http2=True)  # noqa: S501 -- nobody verifies certificates here
        self.stats = SegmentStats()
        """What is counted of the work; for reading only."""
        self._runner = JobRunner(
            results_url=f"https://{self._endpoint}/transcodeResults",
            secret=self._secret,
            transcoder=transcoder,
            client=self._client,
            rng=rng,
            orchestrator_uri=f"https://{self._endpoint}",
            stats=self.stats,
        )
        self._link = WorkerLink(
            self._endpoint,
            method="/net.Transcoder/RegisterTranscoder",
            message_type=pb.NotifySegment,
            register=self._register,
            take=self._take,
            unknown_secret=self._unknown_secret,
            let_go=self._let_go,
            name="worker",
            board=board,
            rng=rng,
            backoff=backoff or Backoff(),
            drain_s=drain_s,
        )
        self._stack = AsyncExitStack()
        self._own = Capabilities()
        self._sessions: set[SessionId] = set()  # that came down the stream
        self._done = self._failed = self._pixels = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._client)
            await stack.enter_async_context(self._link)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def jobs(self) -> int:
        """How many are under way."""
        return self._link.jobs

    def drain(self, *, on: bool) -> None:
        """Leave the orchestrator and stay away, or come back; may be said before entering."""
        self._link.drain(on=on)

    def show(self, secret: str) -> None:
        """Show this secret from now on; running work goes on, and a worker that was refused tries again."""
        if self._secret.take(secret):
            log.info("worker_secret.taken", extra={"orchestrator": str(self._endpoint)})
            self._link.retry()

    def offer(self, capacity: int) -> None:
        """Tell the orchestrator of so many sessions, as soon as none is under way: a new stream would move them all."""
        self._capacity = capacity

    def snapshot(self) -> WorkerSnapshot:
        """For /status and metrics."""
        return WorkerSnapshot(
            str(self._endpoint), self._link.joined, self._link.jobs, self._done, self._failed, self._pixels
        )

    async def _register(self) -> Registration:
        ids = self._transcoder.capability_ids
        if not ids:
            raise Transient("no transcoding device is ready yet", retry_after_s=0.5)
        self._own = Capabilities.of(ids, version=WIRE_VERSION)
        told = capabilities_to_proto(self._own)
        message = pb.RegisterRequest(secret=self._secret.text, capacity=self._capacity, capabilities=told)
        return Registration(message, outdated=partial(self._is_outdated, message.secret, message.capacity))

    async def _is_outdated(self, shown: str, capacity: int) -> None:
        """Returns when something else is to be told and nothing is under way: a new stream would move all sessions.

        Until then uploads show another secret.
        """
        while not self._is_news(shown, capacity) or self._sessions or self._link.jobs:  # noqa: ASYNC110 -- a look now and then is enough
            await asyncio.sleep(_LOOK_S)

    def _is_news(self, secret: str, capacity: int) -> bool:
        return (secret, capacity) != (self._secret.text, self._capacity)

    def _unknown_secret(self, message: Message) -> bool:
        assert isinstance(message, pb.RegisterRequest)
        return self._secret.was_refused(message.secret)

    async def _take(self, message: pb.NotifySegment) -> None:
        if not message.url:
            session = SessionId(message.segData.auth_token.session_id)
            self._sessions.discard(session)
            await self._transcoder.end_session(session)
            return
        self._sessions.add(SessionId(message.segData.auth_token.session_id))
        self._link.start(self._do(message), f"task-{message.taskId}")

    async def _do(self, message: pb.NotifySegment) -> None:
        try:
            if self._link.jobs > _JOBS_PER_SESSION * self._capacity:
                await self._runner.report_failure(message.taskId, "TranscoderBusy")
                return
            try:
                task = task_from_proto(message)
            except BadCredentials as error:
                await self._runner.report_failure(message.taskId, error.text)
                return
            assert not isinstance(task, SessionEnd)
            result = await self._runner.run(task, self._own)
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

    async def _let_go(self) -> None:
        """Free the places of sessions that the orchestrator has moved meanwhile."""
        for session in list(self._sessions):
            self._sessions.discard(session)
            await self._transcoder.end_session(session)
