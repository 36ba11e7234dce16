"""One segment to all its renditions, decoded once. Runs inside a worker process: native code may crash it."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

import livefleet
from livefleet.kernel import Pixels
from livefleet.media.device import DeviceKind
from livefleet.media.failures import of_output
from livefleet.media.models import Profile, TranscodeError, TranscodeJob
from livefleet.media.output import RenditionFile
from livefleet.media.rendition import check_job, encoder_name
from livefleet.media.rendition_thread import RenditionThread
from livefleet.media.scaling import Scaler, SourceShape
from livefleet.media.source import Source, open_source

__all__ = ["Outcome", "initial_demand", "open_source", "transcode_to_files"]

_PASSTHROUGH_FPS = 30  # assumed of a source that keeps its own rate
_READING = 0.5  # of a core: decoding, beside the largest encoder


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job whose renditions are in files."""

    encoded_pixels: tuple[Pixels, ...]  # by profile
    decoded_pixels: Pixels


def initial_demand(profiles: Sequence[Profile]) -> float:
    """How many cores a job with these profiles can use when it begins."""
    return _READING + sum(_shares(profiles))


def transcode_to_files(
    job: TranscodeJob,
    outputs: Sequence[Path],
    *,
    kind: DeviceKind = DeviceKind.CPU,
    is_cancelled: Callable[[], bool] = lambda: False,
    on_demand: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Write one file a profile. Blocks; uses a thread a rendition.

    `on_demand` hears, on any thread, how many cores the job can use from then on. Raises TranscodeError: for a source
    at fault with a text that gateways do not punish.
    """
    check_job(job)
    for profile in job.profiles:
        encoder_name(kind, profile.codec)
    hwaccel = HWAccel("cuda", device=0, allow_software_fallback=True) if kind is DeviceKind.NVIDIA else None
    try:
        with open_source(job.source, hwaccel=hwaccel) as container:
            return _transcode(job, container, outputs, kind, is_cancelled, _Demand(job.profiles, on_demand))
    except av.FFmpegError as error:
        raise of_output(error) from error


def _transcode(
    job: TranscodeJob,
    container: InputContainer,
    outputs: Sequence[Path],
    kind: DeviceKind,
    is_cancelled: Callable[[], bool],
    demand: _Demand,
) -> Outcome:
    source = Source(container, job)
    shape = SourceShape(
        kind=kind,
        rate=source.rate,
        aspect=source.aspect,
        audio=source.audio,
        audio_bit_rate=None if source.audio is None else source.audio.codec_context.bit_rate,
        processed_by=f"Livepeer Transcoder {livefleet.__version__} ({job.orchestrator_id})",
    )
    threads = [
        RenditionThread(Scaler(profile, shape), RenditionFile(profile, path, shape), on_end=partial(demand.drop, index))
        for index, (profile, path) in enumerate(zip(job.profiles, outputs, strict=True))
    ]
    try:
        for item in source.items():
            if is_cancelled():
                raise TranscodeError("TranscoderStopped", detail="the job was given up")
            for thread in threads:
                thread.put(item)
        source.check_outcome()
        for thread in threads:
            thread.end()
        demand.stop_reading()
        for thread in threads:
            thread.wait()
    finally:
        for thread in threads:
            thread.abandon()
    return Outcome(tuple(thread.file.encoded_pixels for thread in threads), source.decoded_pixels)


class _Demand:
    """How many cores a job can use: all renditions go at the pace of the largest, until only the encoders are left."""

    def __init__(self, profiles: Sequence[Profile], tell: Callable[[float], None]) -> None:
        self._shares = dict(enumerate(_shares(profiles)))
        self._is_reading = True
        self._tell = tell
        self._lock = threading.Lock()

    def drop(self, index: int) -> None:
        """A rendition has ended."""
        with self._lock:
            self._shares.pop(index, None)
            self._tell_now()

    def stop_reading(self) -> None:
        """Nothing is left to be decoded."""
        with self._lock:
            self._is_reading = False
            self._tell_now()

    def _tell_now(self) -> None:
        self._tell(_READING + sum(self._shares.values()) if self._is_reading else float(len(self._shares)))


def _shares(profiles: Sequence[Profile]) -> list[float]:
    """Each rendition's use of a core while the largest, at whose pace all go, uses one."""
    paces = [p.width * p.height * (p.fps / (p.fps_den or 1) or _PASSTHROUGH_FPS) for p in profiles]
    return [pace / max(*paces, 1) for pace in paces]
