"""One segment to all its renditions, decoded once. Runs inside a worker process: native code may crash it."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext

import livefleet
from livefleet.kernel import Pixels
from livefleet.media.decoding import KeptDecoder
from livefleet.media.device import DeviceKind
from livefleet.media.encoding import KeptEncoders
from livefleet.media.failures import of_output
from livefleet.media.hash_file import HashFile
from livefleet.media.models import Container, Profile, TranscodeError, TranscodeJob, hash_path
from livefleet.media.output import RenditionFile
from livefleet.media.rendition import check_job, encoder_name
from livefleet.media.rendition_thread import RenditionThread
from livefleet.media.scaling import Scaler, SourceShape
from livefleet.media.sei_order import in_order
from livefleet.media.source import Source, open_source
from livefleet.media.warm import Shelf

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
    shelf: Shelf[VideoCodecContext] | None = None,
) -> Outcome:
    """Write one file a profile, and its hash beside it where the job wants one. Blocks; uses a thread a rendition.

    `on_demand` hears, on any thread, how many cores the job can use from then on. `shelf` has the codecs, and keeps
    them for the session's next segment; None: they live as long as the job. Raises TranscodeError: for a source at
    fault with a text that gateways do not punish.
    """
    check_job(job)
    if shelf is not None and job.force_reinit:
        shelf.end(job.session)
    for profile in job.profiles:
        encoder_name(kind, profile.codec)
    hwaccel = HWAccel("cuda", device=0, allow_software_fallback=True) if kind is DeviceKind.NVIDIA else None
    kept = None if shelf is None else KeptDecoder(shelf, job.session, hwaccel)
    try:
        with open_source(in_order(job.source) or job.source, hwaccel=None if kept else hwaccel) as container:
            source = Source(container, job, kept)
            return _transcode(job, source, outputs, kind, is_cancelled, _Demand(job.profiles, on_demand), shelf)
    except av.FFmpegError as error:
        raise of_output(error) from error


def _transcode(
    job: TranscodeJob,
    source: Source,
    outputs: Sequence[Path],
    kind: DeviceKind,
    is_cancelled: Callable[[], bool],
    demand: _Demand,
    shelf: Shelf[VideoCodecContext] | None,
) -> Outcome:
    shape = SourceShape(
        kind=kind,
        rate=source.rate,
        aspect=source.aspect,
        audio=source.audio,
        audio_bit_rate=None if source.audio is None else source.audio.codec_context.bit_rate,
        processed_by=f"Livepeer Transcoder {livefleet.__version__} ({job.orchestrator_id})",
    )
    threads = [
        RenditionThread(
            Scaler(profile, shape),
            RenditionFile(profile, path, shape, _encoders(shelf, job, index)),
            HashFile(hash_path(path)) if job.calc_perceptual_hash else None,
            on_end=partial(demand.drop, index),
        )
        for index, (profile, path) in enumerate(zip(job.profiles, outputs, strict=True))
    ]
    try:
        for item in source.items():
            if is_cancelled():
                raise TranscodeError("TranscoderStopped", detail="the job was given up")
            for thread in threads:
                thread.put(item)
        source.check_outcome()
        source.give_back()
        for thread in threads:
            thread.end()
        demand.stop_reading()
        for thread in threads:
            thread.wait()
    finally:
        for thread in threads:
            thread.abandon()
    return Outcome(tuple(thread.file.encoded_pixels for thread in threads), source.decoded_pixels)


def _encoders(shelf: Shelf[VideoCodecContext] | None, job: TranscodeJob, index: int) -> KeptEncoders | None:
    """MP4 wants an encoder's headers before its first picture, and so one that is opened for the file."""
    if shelf is None or job.profiles[index].container is Container.MP4:
        return None
    return KeptEncoders(shelf, job.session, index)


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
