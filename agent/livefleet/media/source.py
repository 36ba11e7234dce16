"""The decoded side of a segment from outside: frames with orderly timestamps, audio packets as they come."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from livefleet.kernel import Pixels
from livefleet.media.decoding import KeptDecoder
from livefleet.media.failures import of_source
from livefleet.media.models import TranscodeError, TranscodeJob
from livefleet.media.timing import moment, tick

__all__ = ["Source", "open_source", "picture_stream", "sound_stream"]

# What a segment may be. Anything else that FFmpeg could read, playlists above all, would let a stranger make it open
# files and addresses of his choice.
_SOURCE_OPTIONS = {
    "format_whitelist": "mpegts,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv",
    "protocol_whitelist": "file",
}

# A header of a few bytes can claim any size, and a decoder then takes memory for a dozen such frames. 8K passes.
_MAX_PIXELS = 8192 * 8192 // 2
_MOST_FPS = 240
_WRAP_S = Fraction(1 << 33, 90_000)  # a TS that runs over its clock's end begins below zero for FFmpeg; MP4 cannot
_TS_PACKET, _TS_SYNC = 188, 0x47


def open_source(source: bytes | Path, *, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a segment from outside. Raises TranscodeError when it is nothing that a segment may be."""
    if isinstance(source, bytes) and not source:
        raise TranscodeError("TranscoderInvalidVideo", detail="an empty segment")
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    name = "mpegts" if _is_ts(source) else None
    try:
        return av.open(file, "r", format=name, options=_SOURCE_OPTIONS, hwaccel=hwaccel, metadata_errors="replace")
    except av.FFmpegError as error:
        raise of_source(error) from error


def _is_ts(source: bytes | Path) -> bool:
    """Whether two packets' sync bytes are there. FFmpeg's own guess takes a TS of a few packets for something else."""
    if isinstance(source, bytes):
        head = source[: _TS_PACKET + 1]
    else:
        with source.open("rb") as file:
            head = file.read(_TS_PACKET + 1)
    return len(head) > _TS_PACKET and head[0] == head[_TS_PACKET] == _TS_SYNC


def picture_stream(container: InputContainer) -> VideoStream:
    """The video that counts: the first that is not a cover picture. Raises TranscodeError."""
    streams = container.streams.video
    stream = next((s for s in streams if not s.disposition & Disposition.attached_pic), None)
    if stream is None:
        raise TranscodeError("TranscoderInvalidVideo", detail="no video stream")
    if stream.codec_context is None:
        raise TranscodeError("Decoder not found", detail="the video is of a kind that FFmpeg does not know")
    return stream


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The first audio stream whose parameters are known; one declared without any frame cannot be muxed."""
    known = (s for s in container.streams.audio if s.codec_context is not None)
    return next((s for s in known if s.codec_context.sample_rate and s.codec_context.channels), None)


class Source:
    """A segment being decoded. Belongs to one thread."""

    def __init__(self, container: InputContainer, job: TranscodeJob, kept: KeptDecoder | None = None) -> None:
        self.decoded_pixels = Pixels(0)
        self._container = container
        self._video = video = picture_stream(container)
        options = {"max_pixels": str(_MAX_PIXELS)}
        self._kept_decoder = kept
        if kept is None:
            self._decoder = video.codec_context
            self._decoder.thread_count = 1
            self._decoder.options = options
        else:
            self._decoder = kept.begin(video, options)
        self._is_damaged = False
        self.audio = sound_stream(container)
        self.rate = _plausible(video.average_rate) or _plausible(video.guessed_rate)
        aspect = video.sample_aspect_ratio
        self.aspect = aspect if aspect and aspect != 1 else None
        self._clip = _Clip.of(job)
        self._packets = 0
        self._key_packets = 0
        self._frames = 0
        self._kept = 0
        self._last_pts: int | None = None
        self._wraps = container.format.name == "mpegts"
        self._shift: Fraction | None = None

    def items(self) -> Iterator[VideoFrame | Packet[AudioStream]]:
        """All frames and audio packets to be written, in the order in which the container has them."""
        early: list[Packet[AudioStream]] = []
        for packet in self._demux():
            if isinstance(packet.stream, AudioStream):
                early.append(packet)
            else:
                yield from self._frames_of(packet)
            if self._frames:  # the clip counts from the first frame, so audio waits for it
                yield from (p for p in map(self._shifted, early) if p.size and self._clip.takes(p.pts, p.time_base))
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

    def give_back(self) -> None:
        """Let the session's next segment have the decoder, if it has come through this one as it should."""
        if self._kept_decoder is not None and not self._is_damaged and self._frames == self._packets:
            self._kept_decoder.give_back(self._decoder)

    def _demux(self) -> Iterator[Packet[AudioStream] | Packet[VideoStream]]:
        streams = [self._video] if self.audio is None else [self._video, self.audio]
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:  # av knows no stream that appears after opening; the reading goes on behind that packet
                packets = self._container.demux(*streams)
                continue
            except av.FFmpegError:  # damaged from here on: what came before still counts
                return
            yield cast("Packet[AudioStream] | Packet[VideoStream]", packet)

    def _frames_of(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        if packet.size:
            self._packets += 1
            self._key_packets += packet.is_keyframe
        try:
            frames = self._decoder.decode(packet)
        except av.DecoderNotFoundError as error:
            raise of_source(error) from error
        except av.FFmpegError:  # a damaged packet costs its own frames
            self._is_damaged = True
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
        frame.duration = frame.duration or max(1, round(1 / (self.rate or 30) / tick(frame)))  # how long the last stays
        if frame.pts is None:
            frame.pts = 0 if last is None else last + frame.duration
        elif last is not None and frame.pts <= last:
            frame.pts = last + 1
        self._last_pts = frame.pts
        if self._shift is None:
            self._shift = _WRAP_S if self._wraps and frame.pts < 0 else Fraction(0)
        frame.pts += round(self._shift / tick(frame))
        self._clip.start_at(moment(frame, frame.pts))

    def _shifted(self, packet: Packet[AudioStream]) -> Packet[AudioStream]:
        """Sound in step with the pictures."""
        if self._shift and packet.pts is not None and packet.dts is not None:
            ticks = round(self._shift / tick(packet))
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return packet


def _plausible(rate: Fraction | None) -> Fraction | None:
    """A rate that a camera could have; what is guessed from one or two frames may be anything."""
    return rate if rate and 1 <= rate <= _MOST_FPS else None


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
