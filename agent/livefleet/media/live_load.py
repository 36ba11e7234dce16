"""Streams at their own pace against a transcoder, and how long each segment took. For benchmarks."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from livefleet.kernel import SessionId
from livefleet.media.models import Profile, TranscodeError, TranscodeJob, Transcoder

__all__ = ["LiveSegment", "SegmentTiming", "percentile", "run_live"]

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """What each stream sends, in a circle."""

    data: bytes
    duration_ms: int
    frames: int


@dataclass(frozen=True, slots=True)
class SegmentTiming:
    """One answer."""

    at: float  # unix seconds of the answer
    session: int
    segment: int
    duration_s: float
    took_s: float
    frames: int
    bytes_in: int
    bytes_out: int
    error: str = ""  # the text that would go on the wire

    @property
    def ratio(self) -> float:
        """Seconds taken a second of media; infinite for a failure."""
        return math.inf if self.error else self.took_s / self.duration_s


async def run_live(
    transcoder: Transcoder,
    media: Sequence[LiveSegment],
    profiles: tuple[Profile, ...],
    *,
    sessions: int,
    seconds: float,
    is_hopeless: Callable[[Sequence[SegmentTiming]], bool] = lambda _: False,
    leave_at: Collection[str] = (),
) -> list[SegmentTiming]:
    """Run `sessions` streams for `seconds` of media each, begun at even distances within a segment's duration.

    A stream sends a segment when its time has come and the one before is answered. It leaves at an error whose text is
    in `leave_at`. With `is_hopeless` true of the timings so far, all is given up.
    """
    timings: list[SegmentTiming] = []
    hopeless = asyncio.Event()

    def take(timing: SegmentTiming) -> None:
        timings.append(timing)
        if is_hopeless(timings):
            hopeless.set()

    async with asyncio.TaskGroup() as group:
        streams = [
            group.create_task(_stream(transcoder, media, profiles, number, seconds, take, leave_at))
            for number in range(sessions)
        ]
        end = group.create_task(hopeless.wait())
        await asyncio.wait((end, group.create_task(_all(streams))), return_when=asyncio.FIRST_COMPLETED)
        for task in (*streams, end):
            task.cancel()
    return timings


async def _all(streams: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(streams)


async def _stream(
    transcoder: Transcoder,
    media: Sequence[LiveSegment],
    profiles: tuple[Profile, ...],
    number: int,
    seconds: float,
    take: Callable[[SegmentTiming], None],
    leave_at: Collection[str],
) -> None:
    session = SessionId(f"live-{number}")
    due = time.monotonic() + (number * _GOLDEN % 1) * media[0].duration_ms / 1000
    sent_s, sequence = 0.0, 0
    try:
        while sent_s < seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            segment = media[sequence % len(media)]
            duration_s = segment.duration_ms / 1000
            job = TranscodeJob(session, sequence, segment.data, segment.duration_ms, profiles)
            started, error, size = time.monotonic(), "", 0
            try:
                result = await transcoder.transcode(job)
                size = sum(len(rendition.data) for rendition in result.renditions)
            except TranscodeError as failure:
                error = failure.text
            now = time.monotonic()
            take(
                SegmentTiming(
                    time.time(), number, sequence, duration_s, now - started, segment.frames, len(segment.data), size,
                    error,
                )
            )  # fmt: skip
            if error in leave_at:
                return
            due = max(due + duration_s, now)
            sent_s += duration_s
            sequence += 1
    finally:
        await transcoder.end_session(session)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by `share` of all (nearest rank). Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]
