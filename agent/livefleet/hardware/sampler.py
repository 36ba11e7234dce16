"""Reads the hardware at an interval, on a thread of its own, with a deadline."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from livefleet.hardware.models import Fault, HardwareSnapshot, NvmlFault
from livefleet.hardware.nvml import read_snapshot
from livefleet.kernel import Blocking, Clock

__all__ = ["HardwareSampler"]

log = logging.getLogger(__name__)


class HardwareSampler:
    """The node's one reader of NVML. Others read `latest`."""

    def __init__(
        self,
        clock: Clock,
        *,
        every_s: float,
        deadline_s: float = 10.0,
        read: Callable[[float], HardwareSnapshot] = read_snapshot,
    ) -> None:
        self._clock = clock
        self._every_s = every_s
        self._deadline_s = deadline_s
        self._read = read
        self._thread = Blocking("nvml")
        self._pending: asyncio.Future[HardwareSnapshot] | None = None
        self.latest: HardwareSnapshot | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pending is None:
            await self._thread.__aexit__(kind, error, trace)
        # A call stuck in the driver cannot be waited for; its thread ends with the process.

    async def sample(self) -> HardwareSnapshot:
        """Read now. A read that takes longer than the deadline gives a snapshot whose fault says so."""
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._thread.run(self._read, self._clock.now()))
        try:
            async with asyncio.timeout(self._deadline_s):
                self.latest = await asyncio.shield(self._pending)
        except TimeoutError:
            text = f"NVML did not answer within {self._deadline_s:g} s"
            self.latest = HardwareSnapshot(self._clock.now(), None, None, (), NvmlFault(Fault.HANGING, text))
        finally:
            if self._pending is not None and self._pending.done():
                self._pending = None
        return self.latest

    async def run(self) -> None:
        """Sample until cancelled. On a machine without the library one look a minute is enough."""
        while True:
            snapshot = await self.sample()
            nothing_there = snapshot.fault is not None and snapshot.fault.kind is Fault.NO_LIBRARY
            await asyncio.sleep(max(self._every_s, 60.0) if nothing_there else self._every_s)
