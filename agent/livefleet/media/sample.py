"""A clip made on the spot: a moving test picture and a tone, the same bytes every time."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import PictureType
from av.video.stream import VideoStream

__all__ = ["make_clip"]

_SAMPLE_RATE = 48_000


def make_clip(
    path: Path,
    seconds: float = 20,
    *,
    width: int = 1280,
    height: int = 720,
    fps: int = 30,
    audio: bool = True,
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    bitrate: int = 2_000_000,
    key_every_s: float = 1.0,
) -> Path:
    """Write a clip of H.264 (or what `codec` names) and AAC into `path`, whose suffix chooses the container.

    Key frames come every `key_every_s`. Returns `path`.
    """
    with av.open(str(path), "w") as container:
        rate = Fraction(fps)
        video = container.add_stream(codec, rate=rate)
        assert isinstance(video, VideoStream)
        encoder = video.codec_context
        encoder.width, encoder.height, encoder.pix_fmt = width, height, pix_fmt
        encoder.time_base = 1 / rate
        encoder.thread_count = 1
        encoder.bit_rate = bitrate
        encoder.options = _encoder_options(codec, max(1, round(fps * key_every_s)))
        sound = container.add_stream("aac", rate=_SAMPLE_RATE, layout="stereo") if audio else None
        picture = _picture(width, height, fps, seconds, pix_fmt)
        tone = _tone(seconds)
        frames = round(seconds * fps)
        sent = 0
        for number in range(frames):
            frame = picture.vpull()
            frame.pict_type = PictureType.NONE
            container.mux(video.encode(frame))
            if sound is not None:
                sent = _send_audio(container, sound, tone, sent, until=Fraction(number + 1, fps))
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def _encoder_options(codec: str, gop: int) -> dict[str, str]:
    options = {"g": str(gop)}
    if codec == "libx264":
        options |= {"preset": "ultrafast", "sc_threshold": "0"}
    if codec == "libx265":
        options |= {"preset": "ultrafast", "x265-params": "log-level=error:pools=none:frame-threads=1"}
    return options


def _picture(width: int, height: int, fps: int, seconds: float, pix_fmt: str) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add("testsrc2", f"size={width}x{height}:rate={fps}:duration={seconds + 1}"),
        graph.add("format", pix_fmt),
        graph.add("buffersink"),
    ).configure()
    return graph


def _tone(seconds: float) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add("sine", f"frequency=440:beep_factor=4:sample_rate={_SAMPLE_RATE}:duration={seconds + 1}"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        graph.add("abuffersink"),
    ).configure()
    return graph


def _send_audio(container: OutputContainer, sound: AudioStream, tone: Graph, sent: int, *, until: Fraction) -> int:
    """Encode sound up to a point in time, so that the streams lie side by side in the file; samples sent so far."""
    while sent + 1024 <= until * _SAMPLE_RATE:
        frame = tone.pull()
        assert isinstance(frame, AudioFrame)
        container.mux(sound.encode(frame))
        sent += frame.samples
    return sent
