"""What a piece of media really holds, found by decoding all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from livefleet.kernel import Pixels
from livefleet.media.models import TranscodeError
from livefleet.media.source import open_source
from livefleet.media.timing import moment

__all__ = ["MediaInfo", "inspect"]


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The first video stream, decoded, and whether there is sound."""

    width: int  # of the first frame
    height: int
    frames: int
    pixels: Pixels  # width x height summed over all frames
    start_s: float  # presentation time of the first frame
    duration_s: float  # first frame's start to last frame's end
    has_audio: bool  # at least one audio packet
    codec: str  # FFmpeg's name, `h264`


def inspect(data: bytes | Path) -> MediaInfo:
    """Decode `data`. Raises TranscodeError when it holds no decodable video."""
    has_audio = False
    with open_source(data) as container:
        if not container.streams.video:
            raise TranscodeError("TranscoderInvalidVideo", detail="no video stream")
        video = container.streams.video[0]
        rate = video.average_rate or video.guessed_rate or Fraction(30)
        sizes: list[tuple[int, int]] = []
        times: list[Fraction] = []
        for packet in container.demux(video, *container.streams.audio):
            if isinstance(packet.stream, AudioStream):
                has_audio = has_audio or packet.size > 0
                continue
            try:
                frames = cast("Packet[VideoStream]", packet).decode()
            except av.InvalidDataError:
                continue
            sizes += [(frame.width, frame.height) for frame in frames]
            times += [moment(frame, frame.pts) for frame in frames if frame.pts is not None]
        codec = video.codec_context.name
    if not sizes or not times:
        raise TranscodeError("TranscoderInvalidVideo", detail="no frame could be decoded")
    return MediaInfo(
        width=sizes[0][0],
        height=sizes[0][1],
        frames=len(sizes),
        pixels=Pixels(sum(w * h for w, h in sizes)),
        start_s=float(min(times)),
        duration_s=float(max(times) - min(times) + _frame_time(times, rate)),
        has_audio=has_audio,
        codec=codec,
    )


def _frame_time(times: Sequence[Fraction], rate: Fraction) -> Fraction:
    """How long the last frame stays: as long as the others do on average."""
    if len(times) < 2:
        return 1 / rate
    return (max(times) - min(times)) / (len(times) - 1)
