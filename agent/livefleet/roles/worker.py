"""The role worker: does media jobs for somebody's orchestrator."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from livefleet.health import Reading
from livefleet.kernel import BadInput, Condition, Status, run_duty
from livefleet.roles.base import RoleContext, private_folder, read_secret
from livefleet.roles.transcoding import open_transcoder
from livefleet.spec import NodeSpec
from livefleet.wire.worker import JOINED_ORCHESTRATOR, Worker

__all__ = ["WorkerRole"]


class WorkerRole:
    """Local devices, joined to an orchestrator. It holds no key and speaks to no chain."""

    required: tuple[str, ...] = (JOINED_ORCHESTRATOR, "TranscoderReady")

    def __init__(self, context: RoleContext) -> None:
        spec = context.spec
        assert spec.worker is not None  # NodeSpec's own rule
        if spec.duties.transcoding is None:
            raise BadInput("node.yaml: the role worker needs the duty `transcoding`")
        self._context = context
        self._spec = spec
        self._settings = spec.worker
        self._duty = spec.duties.transcoding
        self._secret = ""
        self._worker: Worker | None = None

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
        await run_duty("worker", self._serve, on_failure=self._failed)

    def reprice(self, spec: NodeSpec) -> None:
        """A worker quotes nothing."""

    def parts(self) -> Mapping[str, Any]:
        """The worker as it is now."""
        return {} if self._worker is None else {"worker": asdict(self._worker.snapshot())}

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        if self._worker is None:
            return []
        now = self._worker.snapshot()
        labels: dict[str, str] = {}
        return [
            ("livefleet_worker_joined", "gauge", "1 while joined to the orchestrator.", labels, float(now.joined)),
            ("livefleet_worker_jobs", "gauge", "Jobs under way.", labels, float(now.jobs)),
            ("livefleet_worker_segments_done", "counter", "Segments delivered.", labels, float(now.done)),
            ("livefleet_worker_segments_failed", "counter", "Segments not delivered.", labels, float(now.failed)),
            ("livefleet_worker_pixels", "counter", "Pixels encoded.", labels, float(now.pixels)),
        ]

    async def _serve(self) -> None:
        paths = self._spec.paths
        try:
            async with (
                open_transcoder(self._context, self._duty, paths.run / "media") as transcoder,
                Worker(
                    orchestrator=self._settings.orchestrator,
                    secret=self._secret,
                    capacity=self._settings.capacity or transcoder.capacity,
                    transcoder=transcoder,
                    board=self._context.board,
                    rng=random.SystemRandom(),
                    drain_s=self._spec.service.stop_timeout_s / 2,
                ) as self._worker,
            ):
                await asyncio.Event().wait()
        finally:
            self._worker = None

    def _failed(self, error: BaseException) -> None:
        self._context.board.report(
            Condition(JOINED_ORCHESTRATOR, Status.FALSE, "Failed", f"{type(error).__name__}: {error}")
        )
