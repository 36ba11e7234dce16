"""Starting one model's runner, beside a client of it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.ai.catalogue import Placement, Source
from livefleet.ai.client import RunnerClient
from livefleet.ai.launch import settings_of
from livefleet.ai.process import RunnerProcess, running
from livefleet.ai.watch import WatchLimits

__all__ = ["RunnerStart"]


@dataclass(frozen=True, slots=True)
class RunnerStart:
    """What all starts of a model have in common."""

    socket: Path
    request_timeout_s: float
    cpu_threads: int
    limits: WatchLimits

    @asynccontextmanager
    async def started(self, placement: Placement, source: Source) -> AsyncIterator[tuple[RunnerProcess, RunnerClient]]:
        """A process that loads the model, and then serves it, for as long as the block lasts."""
        settings = settings_of(
            placement,
            source,
            request_timeout_s=self.request_timeout_s,
            cpu_threads=self.cpu_threads,
            socket=self.socket,
            parent=os.getpid(),
        )
        # LoRAs may come from the hub even where the model itself is a folder.
        offline = source.is_folder and not placement.entry.loras
        async with (
            running(settings, offline=offline, limits=self.limits) as process,
            RunnerClient(
                self.socket,
                placement.entry.pipeline,
                health_timeout_s=self.limits.health_timeout_s,
                request_limit_s=self.request_timeout_s + self.limits.cancel_grace_s,
            ) as client,
        ):
            yield process, client
