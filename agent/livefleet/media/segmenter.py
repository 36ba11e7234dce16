"""Cut a file into MPEG-TS segments on key frames, as a gateway does before it sends them out. Nothing is re-encoded."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from livefleet.media.models import TranscodeError
from livefleet.media.output import TS_OPTIONS
from livefleet.media.source import open_source
from livefleet.media.timing import moment, tick

__all__ = ["SourceSegment", "split"]

_Packet: TypeAlias = "Packet[VideoStream] | Packet[AudioStream]"


@dataclass(frozen=True, slots=True)
class SourceSegment:
    """One segment on its own: it begins with a key frame and carries the file's timestamps."""

    sequence: int
    data: bytes  # MPEG-TS
    duration_ms: int


def split(source: Path | bytes, seconds: float = 2.0) -> list[SourceSegment]:
    """Segments of at least `seconds` each (the last may be shorter), cut at the next key frame.

    Sound goes with the picture of the same time. Raises TranscodeError when there is no video to cut.
    """
    with open_source(source) as container:
        if not container.streams.video:
            raise TranscodeError("TranscoderInvalidVideo", detail="no video stream")
        video = container.streams.video[0]
        audio = next((s for s in container.streams.audio if s.codec_context.sample_rate), None)
        packets = _packets(container, video, audio)
        times = [_time(p) for p in packets if not isinstance(p.stream, AudioStream)]
        cuts = _cuts(packets, Fraction(seconds).limit_denominator(1000))
        if not cuts:
            raise TranscodeError("No keyframes in input")
        rate = video.average_rate or Fraction(30)
        ends = [*cuts[1:], max(times) + 1 / rate]
        by_segment: list[list[_Packet]] = [[] for _ in cuts]
        index = 0
        for packet in packets:
            if isinstance(packet.stream, AudioStream):
                by_segment[max(0, bisect_right(cuts, _time(packet)) - 1)].append(packet)
                continue
            if packet.is_keyframe and _time(packet) in cuts:
                index = cuts.index(_time(packet))
            by_segment[index].append(packet)
        shift = max(Fraction(0), *(-_decode_time(p) for p in packets))
        return [
            SourceSegment(number, _mux(group, video, audio, shift), round((end - start) * 1000))
            for number, (group, start, end) in enumerate(zip(by_segment, cuts, ends, strict=True))
        ]


def _packets(container: InputContainer, video: VideoStream, audio: AudioStream | None) -> list[_Packet]:
    streams = [video] if audio is None else [video, audio]
    packets = (cast("_Packet", packet) for packet in container.demux(*streams))
    return [p for p in packets if p.size and p.pts is not None and p.dts is not None]


def _cuts(packets: Sequence[_Packet], target: Fraction) -> list[Fraction]:
    """Times of the key frames that begin a segment."""
    cuts: list[Fraction] = []
    for packet in packets:
        if isinstance(packet.stream, AudioStream) or not packet.is_keyframe:
            continue
        at = _time(packet)
        if not cuts or at - cuts[-1] >= target:
            cuts.append(at)
    return cuts


def _mux(packets: Sequence[_Packet], video: VideoStream, audio: AudioStream | None, shift: Fraction) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts", options=TS_OPTIONS) as container:
        picture = container.add_stream_from_template(video)
        sound = None if audio is None else container.add_stream_from_template(audio)
        for packet in packets:
            offset = round(shift / tick(packet))
            assert packet.pts is not None
            assert packet.dts is not None
            packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
            target = sound if isinstance(packet.stream, AudioStream) else picture
            assert target is not None
            packet.stream = target
            container.mux_one(packet)
    return out.getvalue()


def _time(packet: _Packet) -> Fraction:
    return moment(packet, packet.pts)


def _decode_time(packet: _Packet) -> Fraction:
    return moment(packet, packet.dts)
