"""One segment to all its renditions, decoded once. Runs inside a worker process: native code may crash it."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import contextlib
import io
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

import livefleet
from livefleet.kernel import Pixels
from livefleet.media.device import DeviceKind
from livefleet.media.models import TranscodeError, TranscodeJob
from livefleet.media.output import RenditionFile, SourceShape
from livefleet.media.rendition import check_job, encoder_name
from livefleet.media.timing import moment, tick

__all__ = ["Outcome", "open_source", "transcode_to_files"]

_AHEAD = 4  # frames that decoding may be ahead of the slowest encoder; a 1080p frame is 3 MB, shared by the renditions

# What a segment may be. Anything else that FFmpeg could read, playlists above all, would let a stranger make it open
# files and addresses of his choice.
_SOURCE_OPTIONS = {
    "format_whitelist": "mpegts,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv",
    "protocol_whitelist": "file",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job whose renditions are in files."""

    encoded_pixels: tuple[Pixels, ...]  # by profile
    decoded_pixels: Pixels


def open_source(source: bytes | Path, *, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a segment from outside. Raises TranscodeError when it is nothing that a segment may be."""
    if isinstance(source, bytes) and not source:
        raise TranscodeError("TranscoderInvalidVideo", detail="an empty segment")
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    try:
        return av.open(file, "r", options=_SOURCE_OPTIONS, hwaccel=hwaccel, metadata_errors="replace")
    except av.FFmpegError as error:
        raise _translated(error) from error


def transcode_to_files(
    job: TranscodeJob,
    outputs: Sequence[Path],
    *,
    kind: DeviceKind = DeviceKind.CPU,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Write one file a profile. Blocks; uses a thread a rendition.

    Raises TranscodeError: for a source at fault with a text that gateways do not punish.
    """
    check_job(job)
    for profile in job.profiles:
        encoder_name(kind, profile.codec)
    hwaccel = HWAccel("cuda", device=0, allow_software_fallback=True) if kind is DeviceKind.NVIDIA else None
    try:
        with open_source(job.source, hwaccel=hwaccel) as container:
            return _transcode(job, container, outputs, kind, is_cancelled)
    except av.FFmpegError as error:
        raise _translated(error) from error


def _transcode(
    job: TranscodeJob,
    container: InputContainer,
    outputs: Sequence[Path],
    kind: DeviceKind,
    is_cancelled: Callable[[], bool],
) -> Outcome:
    source = _Source(container, job)
    shape = SourceShape(
        kind=kind,
        rate=source.rate,
        aspect=source.aspect,
        audio=source.audio,
        processed_by=f"Livepeer Transcoder {livefleet.__version__} ({job.orchestrator_id})",
    )
    lanes = [_Lane(RenditionFile(profile, path, shape)) for profile, path in zip(job.profiles, outputs, strict=True)]
    try:
        for item in source.items():
            if is_cancelled():
                raise TranscodeError("TranscoderStopped", detail="the job was given up")
            for lane in lanes:
                lane.put(item)
        source.check_outcome()
        for lane in lanes:
            lane.end()
    finally:
        for lane in lanes:
            lane.abandon()
    return Outcome(tuple(lane.file.encoded_pixels for lane in lanes), source.decoded_pixels)


class _Source:
    """The decoded side: frames with orderly timestamps, and audio packets as they come."""

    def __init__(self, container: InputContainer, job: TranscodeJob) -> None:
        if not container.streams.video:
            raise TranscodeError("TranscoderInvalidVideo", detail="no video stream")
        self.decoded_pixels = Pixels(0)
        self._container = container
        self._video: VideoStream = container.streams.video[0]
        self._video.thread_count = 1
        self._clip = _Clip.of(job)
        self.audio = _usable_audio(container)
        self.rate = self._video.average_rate or self._video.guessed_rate
        aspect = self._video.sample_aspect_ratio
        self.aspect = aspect if aspect and aspect != 1 else None
        self._packets = 0
        self._key_packets = 0
        self._frames = 0
        self._kept = 0
        self._last_pts: int | None = None

    def items(self) -> Iterator[VideoFrame | Packet[AudioStream]]:
        """All frames and audio packets to be written, in the order in which the container has them."""
        early: list[Packet[AudioStream]] = []
        for packet in self._demux():
            if isinstance(packet.stream, AudioStream):
                early.append(packet)
            else:
                yield from self._frames_of(packet)
            if self._frames:  # the clip counts from the first frame, so audio waits for it
                yield from (p for p in early if p.size and self._clip.takes(p.pts, p.time_base))
                early.clear()

    def check_outcome(self) -> None:
        """Raise the fitting error when there was nothing to show."""
        if not self._packets:
            raise TranscodeError("TranscoderInvalidVideo", detail="a video stream without packets")
        if not self._key_packets:
            raise TranscodeError("No keyframes in input", detail=f"{self._packets} packets")
        if not self._frames:
            raise TranscodeError("TranscoderInvalidVideo", detail="no frame could be decoded")
        if not self._kept:
            raise TranscodeError("TranscoderInvalidClipConfig", detail="no frame lies within the clip")

    def _demux(self) -> Iterator[Packet[AudioStream] | Packet[VideoStream]]:
        streams = [self._video] if self.audio is None else [self._video, self.audio]
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.InvalidDataError:  # damaged from here on: what came before still counts
                return
            yield cast("Packet[AudioStream] | Packet[VideoStream]", packet)

    def _frames_of(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        if packet.size:
            self._packets += 1
            self._key_packets += packet.is_keyframe
        try:
            frames = packet.decode()
        except av.InvalidDataError:  # a damaged packet costs its own frames
            return
        for frame in frames:
            self._frames += 1
            self.decoded_pixels = Pixels(self.decoded_pixels + frame.width * frame.height)
            self._set_pts(frame)
            if self._clip.takes(frame.pts, frame.time_base):
                self._kept += 1
                yield frame

    def _set_pts(self, frame: VideoFrame) -> None:
        """A missing timestamp follows the previous frame's; one that runs backwards is put just after it."""
        last = self._last_pts
        if frame.pts is None:
            step = frame.duration or round(1 / (self.rate or 30) / tick(frame))
            frame.pts = 0 if last is None else last + max(1, step)
        elif last is not None and frame.pts <= last:
            frame.pts = last + 1
        self._last_pts = frame.pts
        self._clip.start_at(moment(frame, frame.pts))


class _Clip:
    """Which part of the segment is wanted, counted from its first frame."""

    def __init__(self, start: Fraction, end: Fraction | None) -> None:
        self._from, self._to = start, end
        self._zero: Fraction | None = None

    @classmethod
    def of(cls, job: TranscodeJob) -> _Clip:
        end = None if job.clip_to_ms is None else Fraction(job.clip_to_ms, 1000)
        return cls(Fraction(job.clip_from_ms or 0, 1000), end)

    def start_at(self, zero: Fraction) -> None:
        if self._zero is None:
            self._zero = zero

    def takes(self, pts: int | None, time_base: Fraction | None) -> bool:
        if self._to is None:
            return True
        if pts is None or time_base is None or self._zero is None:
            return False
        return self._from <= pts * time_base - self._zero < self._to


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing more comes; the file is to be completed, or left as it is."""

    complete: bool


class _Lane:
    """A rendition's own thread, so that one stream uses more than one core while each encoder uses one."""

    def __init__(self, file: RenditionFile) -> None:
        self.file = file
        self._error: BaseException | None = None
        self._has_ended = False
        self._room = threading.Semaphore(_AHEAD)
        self._queue: queue.SimpleQueue[VideoFrame | Packet[AudioStream] | _End] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="rendition", daemon=True)
        self._thread.start()

    def put(self, item: VideoFrame | Packet[AudioStream] | _End) -> None:
        """Hand on the next item; waits while the encoder is behind. Raises what stopped the encoder."""
        if self._error is not None:
            raise self._error
        if isinstance(item, VideoFrame):
            self._room.acquire()
        self._queue.put(item)

    def end(self) -> None:
        """Complete the file and wait for it."""
        self.put(_End(complete=True))
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Stop, whatever the file's state; nothing after `end`."""
        if self._thread.is_alive():
            self._queue.put(_End(complete=False))
            self._thread.join()

    def _run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 -- raised again by the thread that feeds this one
            self._error = error
            with contextlib.suppress(av.FFmpegError):  # the first failure counts
                self.file.close()
            self._discard()

    def _write(self) -> None:
        while True:
            match item := self._queue.get():
                case _End(complete=complete):
                    self._has_ended = True
                    if complete:
                        self.file.finish()
                    else:
                        self.file.close()
                    return
                case VideoFrame():
                    self.file.write_frame(item)
                    self._room.release()
                case _:
                    self.file.write_audio(item)

    def _discard(self) -> None:
        """Let go of what still comes, so that nobody waits for room."""
        self._room.release()
        while not self._has_ended and not isinstance(self._queue.get(), _End):
            self._room.release()


def _usable_audio(container: InputContainer) -> AudioStream | None:
    """The first audio stream whose parameters are known; one declared without any frame cannot be muxed."""
    return next((s for s in container.streams.audio if s.codec_context.sample_rate), None)


def _translated(error: av.FFmpegError) -> TranscodeError:
    """FFmpeg's error in the protocol's words: damaged input under a text that gateways do not punish."""
    text = error.strerror or "Invalid argument"
    if isinstance(error, av.InvalidDataError):
        text = "TranscoderInvalidVideo"
    return TranscodeError(text, detail=str(error))
