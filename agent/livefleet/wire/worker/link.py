"""A worker's stream to an orchestrator: registered, read, kept up.

           open_channel, register                      stream lost, or ended by the orchestrator
waiting ------------------------------> joined ----------------------------> finishing jobs -> waiting (backoff)
           `invalid secret`, `zero capacity`   | what was registered is not true any more
        ------------------> refused for good   `----> finishing jobs -> registering anew, at once

A drain ends the stream; what came down it before is done all the same.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.message import Message

from livefleet.kernel import Backoff, Condition, ConditionBoard, OutsideWorld, Status, run_duty
from livefleet.wire.channel import Endpoint, open_channel
from livefleet.wire.errors import NotWelcome, OrchestratorGone

__all__ = ["CONDITION", "Registration", "WorkerLink"]

log = logging.getLogger(__name__)

CONDITION = "JoinedOrchestrator"

M = TypeVar("M", bound=Message)

_FATAL = ("invalid secret", "zero capacity")
_CONNECT_TIMEOUT_S = 5.0
_KEEPALIVE_S = 20.0
_SETTLED_S = 1.0  # an orchestrator says nothing until there is work; one that refuses does so at once


@dataclass(frozen=True, slots=True)
class Registration:
    """What a worker says of itself, and how long that stays true."""

    message: Message
    outdated: Callable[[], Awaitable[object]]  # returns when it has to be said anew


class WorkerLink(Generic[M]):
    """Joined while entered, as far as the orchestrator lets it.

    `register` tells what to offer; `take` hears each message that comes down the stream and starts jobs by `start`;
    `let_go` is called when a stream has ended and its jobs are done. `unknown_secret` hears the registration whose
    secret was refused, and says whether there is another one to show. `subject` tells a host's links apart.
    `overlaps`: it registers anew while jobs of the stream before go on; then `register` leaves their places out.

    Leaving takes no new work, lets running jobs finish for `drain_s`, then gives up the rest.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        method: str,
        message_type: type[M],
        register: Callable[[], Awaitable[Registration]],
        take: Callable[[M], Awaitable[None]],
        unknown_secret: Callable[[Message], bool] = lambda _: False,
        let_go: Callable[[], Awaitable[None]] | None = None,
        overlaps: bool = False,
        name: str,
        subject: str = "",
        board: ConditionBoard,
        rng: random.Random,
        backoff: Backoff,
        drain_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._method = method
        self._message_type = message_type
        self._register = register
        self._take = take
        self._unknown_secret = unknown_secret
        self._let_go = let_go
        self._overlaps = overlaps
        self._name = name
        self._subject = subject
        self._board = board
        self._rng = rng
        self._backoff = backoff
        self._drain_s = drain_s
        self._group = asyncio.TaskGroup()
        self._duty: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._is_entered = self._is_drained = False
        self.joined = False

    @property
    def jobs(self) -> int:
        """How many are under way."""
        return len(self._jobs)

    def under_way(self) -> frozenset[asyncio.Task[None]]:
        """The same one by one."""
        return frozenset(self._jobs)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._is_entered = True
        if self._is_drained:
            self._report_drained()
        else:
            self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_entered = False
        if self._duty is not None:
            self._duty.cancel()
            await asyncio.wait({self._duty})
        self._report(Status.FALSE, "Stopping", "the agent is stopping")
        await self._finish_jobs(self._drain_s)
        for job in self._jobs:
            job.cancel()
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's

    def drain(self, *, on: bool) -> None:
        """Leave the orchestrator and stay away, or come back; may be said before entering."""
        if on is self._is_drained:
            return
        self._is_drained = on
        if not self._is_entered:
            return
        if not on:
            self._begin()
        elif self._duty is not None:
            self._duty.cancel()
            self._report_drained()

    def retry(self) -> None:
        """Begin again if the orchestrator had refused for good: what it refused has changed."""
        if self._is_entered and not self._is_drained and self._duty is not None and self._duty.done():
            self._begin()

    def start(self, job: Coroutine[Any, Any, None], name: str) -> None:
        """Run a job of the orchestrator's; it must not raise."""
        task = self._group.create_task(job, name=name)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    def _begin(self) -> None:
        before = self._duty

        async def join() -> None:
            if before is not None:
                await asyncio.wait({before})
                await self._end_jobs()
            await run_duty(
                self._name, self._serve, on_failure=self._report_failure, backoff=self._backoff, rng=self._rng
            )

        self._report(Status.UNKNOWN, "Connecting", f"connecting to {self._endpoint}")
        self._duty = self._group.create_task(join(), name=self._name)

    async def _serve(self) -> None:
        """Streams one after the other, until one is lost, which is an error."""
        while True:
            registration = await self._register()
            try:
                channel = await open_channel(self._endpoint, timeout_s=_CONNECT_TIMEOUT_S, keepalive_s=_KEEPALIVE_S)
            except OutsideWorld as error:
                raise OrchestratorGone(str(self._endpoint), str(error)) from error
            try:
                try:
                    await self._read_stream(channel, registration)
                finally:
                    self.joined = False
                    await channel.close(None)
            except OrchestratorGone as error:
                self._report_failure(error)
                await self._before_the_next()
                raise
            self._report(Status.UNKNOWN, "Registering", f"what is offered to {self._endpoint} has changed")
            await self._before_the_next()

    async def _read_stream(self, channel: grpc.aio.Channel, registration: Registration) -> None:
        """Returns when the registration is outdated. Raises OrchestratorGone or NotWelcome."""
        register = channel.unary_stream(
            self._method,
            request_serializer=type(registration.message).SerializeToString,
            response_deserializer=self._message_type.FromString,
        )
        stream = register(registration.message)
        settled = asyncio.get_running_loop().call_later(_SETTLED_S, self._report_joined)
        outdated = self._group.create_task(_cancel_when(registration.outdated, stream), name="outdated")
        try:
            async for message in stream:
                self._report_joined()
                await self._take(message)
        except grpc.aio.AioRpcError as error:
            text = error.details() or error.code().name
            if text == _FATAL[0] and self._unknown_secret(registration.message):
                raise OrchestratorGone(str(self._endpoint), f"{text}: the one before it is shown again") from error
            if text in _FATAL:
                raise NotWelcome(str(self._endpoint), text) from error
            raise OrchestratorGone(str(self._endpoint), text) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not outdated.done() or task is None or task.cancelling():
                raise
            return
        finally:
            settled.cancel()
            outdated.cancel()
            stream.cancel()
        raise OrchestratorGone(str(self._endpoint), "it ended the stream")

    async def _before_the_next(self) -> None:
        """What runs is uploaded all the same; a registration that told of all places would count its places twice."""
        if not self._overlaps:
            await self._end_jobs()

    async def _finish_jobs(self, patience_s: float | None) -> None:
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=patience_s)

    async def _end_jobs(self) -> None:
        await self._finish_jobs(None)
        if self._let_go is not None:
            await self._let_go()

    def _report_joined(self) -> None:
        if not (self.joined or self._is_drained):
            self.joined = True
            log.info("worker.joined", extra={"orchestrator": str(self._endpoint), "work": self._name})
            self._report(Status.TRUE, "Joined", f"working for {self._endpoint}")

    def _report_drained(self) -> None:
        """Being away on purpose keeps no node from being ready."""
        text = f"drained: {self._endpoint} sends nothing until the drain is taken back"
        self._board.report(Condition(CONDITION, Status.FALSE, "Drained", text, self._subject, gates_ready=False))

    def _report_failure(self, error: BaseException) -> None:
        reason = "Refused" if isinstance(error, NotWelcome) else "Disconnected"
        self._report(Status.FALSE, reason, str(error))

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._board.report(Condition(CONDITION, status, reason, message, subject=self._subject))


async def _cancel_when(outdated: Callable[[], Awaitable[object]], stream: grpc.aio.UnaryStreamCall[Any, Any]) -> None:
    with suppress(asyncio.CancelledError):
        await outdated()
        stream.cancel()
