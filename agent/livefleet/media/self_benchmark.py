"""How many real-time sessions a device holds, found by trying them on the real worker process.

This module generates its media, and so loads FFmpeg: for the command line, not for the agent.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from livefleet.kernel import Clock, ConditionBoard, OutsideWorld
from livefleet.media.admission import Cost
from livefleet.media.benchmark import DeviceBenchmark
from livefleet.media.capacity_search import CapacitySearch
from livefleet.media.cores import usable_cores
from livefleet.media.device import Device
from livefleet.media.inspection import inspect
from livefleet.media.live_load import LiveSegment, SegmentTiming, percentile, run_live
from livefleet.media.local import NO_LIMIT, LocalTranscoder
from livefleet.media.models import Profile
from livefleet.media.sample import make_clip
from livefleet.media.segmenter import split

__all__ = ["BenchmarkPlan", "Level", "Measurement", "live_media", "measure_device"]

_SHARE = 0.95  # of the segments that must be in time
_MOST_SESSIONS = 256
_READY_S = 60.0
_SETTLE_S = 0.5  # what was given up leaves the device within some frames


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What is tried, and what counts as real time."""

    profiles: tuple[Profile, ...]
    seconds: float = 10.0  # of media a session and level
    budget_s: float = 240.0  # no level but the first is begun after that
    max_ratio: float = 0.8  # of a segment's duration, at the 95th percentile
    in_bit_per_s: float | None = None  # the network's; None: no limit
    out_bit_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """So many sessions, tried."""

    sessions: int
    timings: tuple[SegmentTiming, ...]
    planned: int  # segments; fewer timings: given up as hopeless
    max_ratio: float
    pixel_cost: Cost
    cores_of_others: float

    @property
    def ratio(self) -> float:
        """The 95th percentile of the duration ratios; infinite where more than a twentieth failed."""
        return percentile([timing.ratio for timing in self.timings], _SHARE) if self.timings else math.inf

    @property
    def held(self) -> bool:
        """Whether all was done, nothing failed and enough was in time."""
        whole = len(self.timings) >= self.planned and not any(timing.error for timing in self.timings)
        return whole and self.ratio <= self.max_ratio

    @property
    def errors(self) -> tuple[str, ...]:
        """The failures' texts, each once."""
        return tuple(sorted({timing.error for timing in self.timings if timing.error}))


@dataclass(frozen=True, slots=True)
class Measurement:
    """A device's record, and the levels that led to it."""

    record: DeviceBenchmark
    levels: tuple[Level, ...]

    @property
    def best(self) -> Level | None:
        """The largest level that held; None when not even one session did."""
        return max((level for level in self.levels if level.held), key=lambda level: level.sessions, default=None)


def live_media(
    folder: Path, *, file: Path | None, width: int, height: int, segment_s: float
) -> tuple[str, tuple[LiveSegment, ...]]:
    """What the streams send, and its name: `file`, else a generated clip (made in `folder`)."""
    source = file or make_clip(folder / "clip.mp4", 4 * segment_s, width=width, height=height, bitrate=6_000_000)
    segments = split(source, segment_s)
    whole = [s for s in segments if s.duration_ms >= 500 * segment_s] or segments  # a short rest would be unfair
    media = tuple(LiveSegment(s.data, s.duration_ms, inspect(s.data).frames) for s in whole)
    return (file.name if file else f"generated {width}x{height}@30"), media


async def measure_device(
    device: Device,
    plan: BenchmarkPlan,
    media: Sequence[LiveSegment],
    *,
    source: str,
    driver_version: str | None,
    run_dir: Path,
    clock: Clock,
    on_level: Callable[[Level], None] = lambda _: None,
) -> Measurement:
    """Find the device's limit. Raises OutsideWorld when it has no working encoder."""
    board = ConditionBoard(clock)
    search, levels = CapacitySearch(_MOST_SESSIONS), list[Level]()
    async with LocalTranscoder(
        [device],
        run_dir=run_dir,
        board=board,
        clock=clock,
        max_sessions=None,
        max_load=NO_LIMIT,
        ready_timeout_s=_READY_S,
        rng=random.SystemRandom(),
    ) as transcoder:
        if not transcoder.capability_ids:
            raise OutsideWorld(f"{device.id}: {'; '.join(c.message for c in board.all())}")
        ends_at = time.monotonic() + plan.budget_s
        while (sessions := search.next) is not None and (not levels or time.monotonic() < ends_at):
            level = await _level(transcoder, plan, media, sessions)
            levels.append(level)
            search.tried(sessions, held=level.held)
            on_level(level)
            await asyncio.sleep(_SETTLE_S)
    return Measurement(_record(device, plan, levels, search, source, driver_version), tuple(levels))


async def _level(
    transcoder: LocalTranscoder, plan: BenchmarkPlan, media: Sequence[LiveSegment], sessions: int
) -> Level:
    planned = sessions * _segments_in(plan.seconds, media)
    spare = planned - math.ceil(_SHARE * planned)

    def is_hopeless(timings: Sequence[SegmentTiming]) -> bool:
        return sum(timing.ratio > plan.max_ratio for timing in timings) > spare

    timings = await run_live(
        transcoder, media, plan.profiles, sessions=sessions, seconds=plan.seconds, is_hopeless=is_hopeless
    )
    load = transcoder.load
    return Level(sessions, tuple(timings), planned, plan.max_ratio, load.devices[0].pixel_cost, load.cpu_of_others)


def _segments_in(seconds: float, media: Sequence[LiveSegment]) -> int:
    count, sent_s = 0, 0.0
    while sent_s < seconds:
        sent_s += media[count % len(media)].duration_ms / 1000
        count += 1
    return count


def _record(
    device: Device,
    plan: BenchmarkPlan,
    levels: Sequence[Level],
    search: CapacitySearch,
    source: str,
    driver_version: str | None,
) -> DeviceBenchmark:
    level = max((level for level in levels if level.held), key=lambda level: level.sessions, default=levels[0])
    done = [timing for timing in level.timings if not timing.error]
    seconds = sum(timing.duration_s for timing in done) or 1.0
    bits_in = 8 * sum(timing.bytes_in for timing in done) / seconds
    bits_out = 8 * sum(timing.bytes_out for timing in done) / seconds
    limits = [search.limit]
    if plan.in_bit_per_s is not None and bits_in:
        limits.append(int(plan.in_bit_per_s / bits_in))
    if plan.out_bit_per_s is not None and bits_out:
        limits.append(int(plan.out_bit_per_s / bits_out))
    return DeviceBenchmark(
        device=device.id,
        kind=device.kind,
        driver_version=driver_version,
        cores=usable_cores(),
        cores_of_others=round(max(level.cores_of_others for level in levels), 2),
        profiles=plan.profiles,
        source=source,
        limit=min(limits),
        hardware_limit=search.limit,
        is_complete=search.next is None,
        duration_ratio=min(level.ratio, 999.0),
        cpu_s_per_pixel=level.pixel_cost.cpu,
        place_s_per_pixel=level.pixel_cost.place,
        in_bit_per_s=round(bits_in, 1),
        out_bit_per_s=round(bits_out, 1),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        down_bit_per_s=plan.in_bit_per_s,
        up_bit_per_s=plan.out_bit_per_s,
    )
