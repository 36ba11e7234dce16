"""The lanes of a machine's devices: which there are, which may have the next segment, which are being emptied."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from livefleet.kernel import Blocking, Clock, ConditionBoard, SessionId
from livefleet.media.capabilities import capability_ids
from livefleet.media.device import Device
from livefleet.media.device_lane import READY_TIMEOUT_S, DeviceLane, segment_deadline_s
from livefleet.media.metering import CpuReading

__all__ = ["DeviceLanes"]

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


class DeviceLanes:
    """A process each. Enter it to start them, which waits until every one was tried, `ready_timeout_s` at most.

    Leaving ends them. `folder` gets a folder for each; it is the caller's to clear. A device that had no segment for
    `proof_interval_s` has to transcode a sample; None: at its process's start alone. `arrivals` tells devices that may
    have come meanwhile; they join, which `joined` hears of first. `stand_ins` work while no other device is ready.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        folder: Path,
        board: ConditionBoard,
        clock: Clock,
        files: Blocking,
        joined: Callable[[Device], None],
        ready_timeout_s: float = READY_TIMEOUT_S,
        deadline_s: Callable[[int], float] = segment_deadline_s,
        rng: random.Random | None = None,
        proof_interval_s: float | None = None,
        arrivals: Callable[[], Iterable[Device]] = tuple,
        stand_ins: Iterable[str] = (),
    ) -> None:
        self._folder = folder
        self._board = board
        self._now = clock.monotonic
        self._files = files
        self._joined = joined
        self._ready_timeout_s = ready_timeout_s
        self._deadline_s = deadline_s
        self._rng = rng or random.Random()
        self._proof_interval_s = proof_interval_s
        self._arrivals = arrivals
        self._stand_ins = frozenset(stand_ins)
        self._emptying: frozenset[str] = frozenset()
        self._held = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()
        self._duties: list[asyncio.Task[None]] = []
        self._lanes: dict[str, DeviceLane] = {}
        for device in devices:
            self._add(device)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as held:
            await self._tasks.__aenter__()
            held.push_async_callback(self._tasks.__aexit__, None, None, None)  # an error of the block is its own
            held.callback(self._end_duties)
            for lane in self:
                self._start(lane)
            self._duties.append(self._tasks.create_task(self._welcome()))
            if self._proof_interval_s is not None:
                self._duties.append(self._tasks.create_task(self._prove(self._proof_interval_s)))
            # Where the time is over, the conditions tell which device is not there yet.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._ready_timeout_s):
                    for lane in self:
                        await lane.worker.settled.wait()
            self._held = held.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.aclose()

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[DeviceLane]:
        return iter(tuple(self._lanes.values()))  # one may join meanwhile

    def __getitem__(self, device: str) -> DeviceLane:
        return self._lanes[device]

    @property
    def usable(self) -> list[str]:
        """Devices for the next segment: those with a process, or all when one must be waited for anyway.

        Not those that are being emptied, unless there are no others.
        """
        lanes = [lane for lane in self if lane.id not in self._emptying] or list(self)
        ready = [lane for lane in lanes if lane.worker.is_ready]
        own = [lane for lane in ready if lane.id not in self._stand_ins]
        return [lane.id for lane in own or ready or lanes]

    @property
    def capability_ids(self) -> frozenset[int]:
        """What every usable device can do."""
        known = [probe for name in self.usable if (probe := self._lanes[name].worker.probe) is not None]
        return frozenset.intersection(*(capability_ids(p) for p in known)) if known else frozenset()

    @property
    def pids(self) -> dict[str, int | None]:
        """The worker process of each device, by device id."""
        return {lane.id: lane.worker.pid for lane in self}

    @property
    def emptying(self) -> frozenset[str]:
        """Devices that are being emptied."""
        return self._emptying & self._lanes.keys()

    @property
    def is_emptied(self) -> bool:
        """Whether all of them are."""
        return bool(self._lanes) and self._emptying.issuperset(self._lanes)

    def empty(self, devices: frozenset[str], *, prove: bool = True) -> None:
        """Empty these devices, and use all others again. What is in work there is finished.

        `prove`: a device that comes back has to transcode a sample.
        """
        before, self._emptying = self.emptying, devices
        for lane in self:
            lane.worker.gate(on=self._gates(lane))
        for name in before - devices if prove and self._duties else ():
            # Whatever it was emptied for may have taken its process along: a GPU that was reset, a driver loaded anew.
            self._tasks.create_task(self._lanes[name].prove(every_s=0.0), name=f"prove {name}")

    def in_service(self, whole: int) -> int:
        """`whole` less the share of devices that are being emptied, or all of it where every device is; 1 at least."""
        own = self._lanes.keys() - self._stand_ins or self._lanes.keys()
        serving = own - self.emptying
        return max(1, -(-whole * len(serving) // len(own)) if serving else whole)

    def cpu_times(self) -> list[CpuReading]:
        """What the processes have used."""
        return [used for lane in self if (used := lane.worker.cpu_time()) is not None]

    def end_session(self, session: SessionId) -> None:
        """Have the processes let go of what they keep for a session."""
        for lane in self:
            lane.worker.end_session(session)

    def _add(self, device: Device) -> DeviceLane:
        lane = self._lanes[device.id] = DeviceLane(
            device,
            self._folder / f"device-{len(self._lanes)}",
            board=self._board,
            rng=self._rng,
            files=self._files,
            now=self._now,
            deadline_s=self._deadline_s,
        )
        return lane

    def _end_duties(self) -> None:
        duties, self._duties = self._duties, []
        for duty in duties:
            duty.cancel()

    def _start(self, lane: DeviceLane) -> None:
        lane.folder.mkdir(parents=True, mode=0o700)
        self._duties.append(self._tasks.create_task(lane.worker.run()))

    async def _welcome(self) -> None:
        """Take in devices that come while others work: a driver that is loaded late, a GPU that answers again."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for device in self._arrivals():
                if device.id not in self._lanes:
                    log.info("transcoding.device_joins", extra={"device": device.id})
                    self._joined(device)
                    lane = self._add(device)
                    lane.worker.gate(on=self._gates(lane))
                    self._start(lane)

    async def _prove(self, every_s: float) -> None:
        """Ask one device after the other for a proof."""
        while True:
            await asyncio.sleep(every_s)
            for lane in self:
                await lane.prove(every_s=every_s)

    def _gates(self, lane: DeviceLane) -> bool:
        """A device is not missed while it is emptied and others work, nor beside one that stands in for it."""
        if self._stand_ins:
            return lane.id in self._stand_ins
        return self.is_emptied or lane.id not in self._emptying
