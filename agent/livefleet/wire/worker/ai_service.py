"""This node's models as an AI worker of somebody's orchestrator."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import httpx
from google.protobuf.message import Message

from livefleet.ai import AdvertisedModel
from livefleet.kernel import Backoff, Clock, ConditionBoard, OutsideWorld, SystemClock
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_messages import AiRegistration
from livefleet.wire.ai_models import Ai
from livefleet.wire.capabilities import (
    DEFAULT_CAPABILITIES,
    WIRE_VERSION,
    Capabilities,
    Capability,
    ModelConstraint,
    capability_of_pipeline,
)
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import ai_task_from_proto, registration_to_proto
from livefleet.wire.work_stats import AiStats
from livefleet.wire.worker.ai_jobs import AiJobRunner
from livefleet.wire.worker.link import Registration, WorkerLink
from livefleet.wire.worker.secret import ShownSecret

__all__ = ["AiWorker", "AiWorkerSnapshot"]

log = logging.getLogger(__name__)

Offer = Mapping[tuple[str, str], AdvertisedModel]
"""By pipeline and model id."""

_LOOK_S = 0.25  # what is lost should be told within 2 s, and looking costs nothing


@dataclass(frozen=True, slots=True)
class AiWorkerSnapshot:
    """The worker as it is now. Counts grow from the start of the process."""

    orchestrator: str
    joined: bool
    jobs: int
    done: int
    failed: int


class AiWorker:
    """Joined while entered, whenever some model answers; it joins anew when its models change, whatever it works on.

    Leaving takes no new work, lets running jobs finish and upload for `drain_s`, then gives up the rest. `stats` counts
    uploads.
    """

    def __init__(
        self,
        *,
        orchestrator: str,
        secret: str,
        ai: Ai,
        hardware: Callable[[], Sequence[ModelHardware]],
        board: ConditionBoard,
        rng: random.Random,
        backoff: Backoff | None = None,
        drain_s: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self._endpoint = parse_endpoint(orchestrator)
        self._secret = ShownSecret(secret, clock or SystemClock())
        self._ai = ai
        self._hardware = hardware
        self._client = httpx.AsyncClient(verify=False, http2=True)  # noqa: S501 -- nobody verifies certificates here
        self.stats = AiStats()
        self._runner = AiJobRunner(
            results_url=f"https://{self._endpoint}/aiResults",
            secret=self._secret,
            ai=ai,
            client=self._client,
            rng=rng,
            orchestrator_uri=f"https://{self._endpoint}",
            stats=self.stats,
        )
        self._link = WorkerLink(
            self._endpoint,
            method="/net.AIWorker/RegisterAIWorker",
            message_type=pb.NotifyAIJob,
            register=self._register,
            take=self._take,
            unknown_secret=self._unknown_secret,
            overlaps=True,
            name="ai-worker",
            subject="ai",
            board=board,
            rng=rng,
            backoff=backoff or Backoff(),
            drain_s=drain_s,
        )
        self._stack = AsyncExitStack()
        self._done = self._failed = 0

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
        """Leave the orchestrator and stay away, or come back; what is under way is finished and brought."""
        self._link.drain(on=on)

    def show(self, secret: str) -> None:
        """Show this secret from now on; running work goes on, and a worker that was refused tries again."""
        if self._secret.take(secret):
            log.info("worker_secret.taken", extra={"orchestrator": str(self._endpoint), "work": "ai-worker"})
            self._link.retry()

    def snapshot(self) -> AiWorkerSnapshot:
        """For /status and metrics."""
        return AiWorkerSnapshot(str(self._endpoint), self._link.joined, self._link.jobs, self._done, self._failed)

    async def _register(self) -> Registration:
        while not (offered := _offered(self._ai.advertised(), busy=True)):  # noqa: ASYNC110 -- models make no event
            await asyncio.sleep(_LOOK_S)

        shown, before = self._secret.text, self._link.under_way()

        async def outdated() -> None:
            while not self._is_outdated(offered, before, shown):  # noqa: ASYNC110 -- likewise
                await asyncio.sleep(_LOOK_S)

        registration = AiRegistration(shown, _capabilities(tuple(offered.values())), tuple(self._hardware()))
        return Registration(registration_to_proto(registration), outdated)

    def _is_outdated(self, offered: Offer, before: AbstractSet[asyncio.Task[None]], shown: str) -> bool:
        """What is lost has to be said at once; what was gained, or a new secret, can wait until no job is under way.

        An orchestrator takes the end of a stream for the end of the worker. Places that jobs from `before` held are
        told of once those are done, if that makes it more than was offered.
        """
        told = self._ai.advertised()
        now = _offered(told, busy=False)
        if any(key not in now or now[key].capacity < model.capacity for key, model in offered.items()):
            return True
        if not self._link.jobs:
            return now != offered or shown != self._secret.text
        return (
            bool(before)
            and before.isdisjoint(self._link.under_way())
            and (_places(_offered(told, busy=True)) > _places(offered))
        )

    def _unknown_secret(self, message: Message) -> bool:
        assert isinstance(message, pb.RegisterAIWorkerRequest)
        return self._secret.was_refused(message.secret)

    async def _take(self, message: pb.NotifyAIJob) -> None:
        self._link.start(self._do(message), f"ai-task-{message.taskId}")

    async def _do(self, message: pb.NotifyAIJob) -> None:
        done = False
        task_id, pipeline = message.taskId, message.AIJobData.pipeline
        try:
            try:
                task = ai_task_from_proto(message)
            except ValueError as error:
                await self._runner.report_failure(task_id, pipeline, str(error))
            else:
                done = await self._runner.run(task)
        except OutsideWorld as error:
            log.warning("ai_task.not_delivered", extra={"error": str(error)})
        except Exception:
            # One job's failure is that job's, never the end of the others.
            log.exception("ai_task.crashed", extra={"task": task_id})
            with contextlib.suppress(OutsideWorld):
                await self._runner.report_failure(task_id, pipeline, "AI worker stopped")
        self._done += done
        self._failed += not done


def _offered(models: Sequence[AdvertisedModel], *, busy: bool) -> Offer:
    """What is worth registering, without what changes by the job. `busy`: less the places that jobs hold now.

    Orchestrators count a stream's jobs from its registration on, and send as many more as it told of places.
    """
    left = {(m.pipeline, m.model_id): m.capacity - (m.capacity_in_use if busy else 0) for m in models}
    return {
        (m.pipeline, m.model_id): replace(m, capacity=places, capacity_in_use=0)
        for m in models
        if (places := left[m.pipeline, m.model_id]) > 0
    }


def _places(offer: Offer) -> int:
    return sum(model.capacity for model in offer.values())


def _capabilities(models: Sequence[AdvertisedModel]) -> Capabilities:
    """As an AI worker of the reference tells them: its models beside the default capabilities.

    A worker that announces live video takes a Go orchestrator down.
    """
    found: dict[int, dict[str, ModelConstraint]] = {}
    for model in models:
        capability = capability_of_pipeline(model.pipeline)
        if capability not in (None, Capability.LIVE_VIDEO_TO_VIDEO):
            constraint = ModelConstraint(model.warm, model.capacity, model.runner_version)
            found.setdefault(capability, {})[model.model_id] = constraint
    return Capabilities.of(DEFAULT_CAPABILITIES, version=WIRE_VERSION, models=found)
