"""The role worker: does media and AI jobs for somebody's orchestrator."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Self

from livefleet.health import Reading
from livefleet.kernel import BadInput, Condition, Intake, Status, run_duty
from livefleet.media import LocalTranscoder
from livefleet.reconcile.resources import DrainTarget, Remaining, intake_with
from livefleet.roles.ai_work import AiWork
from livefleet.roles.base import RoleContext, private_folder, read_secret
from livefleet.roles.live_secrets import SecretWatch
from livefleet.roles.models import warm_models
from livefleet.roles.own_metrics import own_device_readings, own_worker_readings
from livefleet.roles.reference_metrics import transcoded_readings, uploaded_readings, worker_readings
from livefleet.roles.report import load_part
from livefleet.roles.transcoding import open_transcoder, work_by_device
from livefleet.spec import NodeSpec
from livefleet.wire.worker import JOINED_ORCHESTRATOR, Worker

__all__ = ["WorkerRole"]


class WorkerRole:
    """Local devices and models, joined to an orchestrator by a stream each. It holds no key and speaks to no chain."""

    def __init__(self, context: RoleContext) -> None:
        spec = context.spec
        assert spec.worker is not None  # NodeSpec's own rule
        if spec.duties.transcoding is None and spec.duties.ai is None:
            raise BadInput("node.yaml: the role worker needs the duty `transcoding`, `ai` or both")
        self._context = context
        self._spec = spec
        self._settings = spec.worker
        self._duty = spec.duties.transcoding
        self._ai = None if spec.duties.ai is None else AiWork(context, spec.worker, spec.duties.ai)
        self.required: tuple[str, ...] = (
            JOINED_ORCHESTRATOR,
            *(("TranscoderReady",) if self._duty else ()),
            *warm_models(spec),
        )
        self._secret = ""
        self._secret_watch = SecretWatch(lambda: self._spec, self._reread, context.board)
        self._worker: Worker | None = None
        self._transcoder: LocalTranscoder | None = None
        self._target = DrainTarget()

    async def __aenter__(self) -> Self:
        self._secret = read_secret(self._spec, self._settings.secret)
        for folder in (self._spec.paths.state, self._spec.paths.run):
            private_folder(folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._secret = ""

    async def run(self) -> None:
        """Stay joined until cancelled."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._secret_watch.run(), name="secret-watch")
            async with asyncio.TaskGroup() as duties:
                if self._duty is not None:
                    duties.create_task(self._transcode(), name="transcoding-worker")
                if self._ai is not None:
                    duties.create_task(self._ai.run(self._secret), name="ai-worker")
            watch.cancel()

    def take_over(self, spec: NodeSpec) -> None:
        """Measure new streams by the duty's `max_load`, and show the secret, from now on; a worker quotes nothing.

        Raises BadInput, and nothing has changed.
        """
        assert spec.worker is not None  # NodeSpec's own rule
        self._show(read_secret(spec, spec.worker.secret))
        self._settings = spec.worker
        self._spec = spec
        self._context = replace(self._context, spec=spec)
        self._duty = duty = spec.duties.transcoding
        if self._transcoder is not None and duty is not None:
            self._transcoder.limit(max_load=duty.max_load)

    def drain(self, target: DrainTarget) -> None:
        """Go by `target`, also after a retry. Emptied, the worker leaves its orchestrator: that moves the sessions."""
        self._target = target
        if self._ai is not None:
            self._ai.drain(on=target.intake is not Intake.OPEN)
        if self._transcoder is not None:
            self._transcoder.empty(target.devices)
            if self._worker is not None:
                self._worker.drain(on=self._is_away())
                if not self._settings.capacity:
                    self._worker.offer(self._transcoder.capacity)

    def remaining(self) -> Remaining:
        """Jobs under way, and the sessions that they are of: sessions without one are somewhere else already."""
        ai = 0 if self._ai is None else self._ai.jobs
        if self._transcoder is None or self._worker is None:
            return Remaining(0, ai)
        return Remaining(self._transcoder.busy_sessions, self._worker.jobs + ai)

    def remaining_on(self) -> Mapping[str, Remaining]:
        """By device of this machine."""
        return {} if self._transcoder is None else work_by_device(self._transcoder)

    def relies_on_devices(self) -> bool:
        """Without models the devices are all that it works with."""
        return self._ai is None

    def _reread(self) -> None:
        self._show(read_secret(self._spec, self._settings.secret))

    def _show(self, secret: str) -> None:
        self._secret = secret
        if self._worker is not None:
            self._worker.show(secret)
        if self._ai is not None:
            self._ai.show(secret)

    def _is_away(self) -> bool:
        """Without a device there is nothing to join for, whatever the models do."""
        return intake_with(self._target, self.remaining_on().keys(), relies_on_devices=True) is not Intake.OPEN

    def parts(self) -> Mapping[str, Any]:
        """The worker as it is now."""
        parts: dict[str, Any] = {} if self._worker is None else {"worker": asdict(self._worker.snapshot())}
        if self._transcoder is not None:
            parts["load"] = load_part(self._transcoder)
        return parts if self._ai is None else parts | dict(self._ai.parts())

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        ai = [] if self._ai is None else self._ai.readings()
        if self._worker is None or self._transcoder is None:
            return ai
        stats, transcoder = self._worker.stats, self._transcoder
        return [
            *worker_readings(sessions=transcoder.sessions, max_sessions=transcoder.capacity),
            *transcoded_readings(stats),
            *uploaded_readings(stats, per_stream=self._spec.monitoring.metrics_per_stream),
            *own_worker_readings(self._worker.snapshot(), stats.fetches_s),
            *own_device_readings(transcoder),
            *ai,
        ]

    async def _transcode(self) -> None:
        await run_duty("worker", self._serve, on_failure=self._failed)

    async def _serve(self) -> None:
        paths, duty = self._spec.paths, self._duty
        assert duty is not None  # run asks for nothing else
        try:
            async with (
                open_transcoder(self._context, duty, paths.run / "media") as self._transcoder,
                Worker(
                    orchestrator=self._settings.orchestrator,
                    secret=self._secret,
                    capacity=self._settings.capacity or self._transcoder.capacity,
                    transcoder=self._transcoder,
                    board=self._context.board,
                    rng=random.SystemRandom(),
                    drain_s=self._spec.service.stop_timeout_s / 2,
                ) as self._worker,
            ):
                self.drain(self._target)
                await asyncio.Event().wait()
        finally:
            self._worker = self._transcoder = None

    def _failed(self, error: BaseException) -> None:
        self._context.board.report(
            Condition(JOINED_ORCHESTRATOR, Status.FALSE, "Failed", f"{type(error).__name__}: {error}")
        )
