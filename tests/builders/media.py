"""Media made on the spot: small segments of every kind, and jobs to do with them."""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from livefleet.kernel import SessionId
from livefleet.media import Profile, TranscodeJob
from livefleet.media.sample import make_clip
from livefleet.media.segmenter import split

SMALL = {"width": 320, "height": 180, "bitrate": 200_000}


def a_profile(**changes: Any) -> Profile:
    return Profile(**{"name": "small", "width": 256, "height": 144, "bitrate": 150_000} | changes)


def a_job(source: bytes | Path, *profiles: Profile, session: str = "s1", **changes: Any) -> TranscodeJob:
    fields = {"sequence": 0, "duration_ms": 1000} | changes
    return TranscodeJob(SessionId(session), source=source, profiles=profiles or (a_profile(),), **fields)


def a_clip(seconds: float = 1, *, suffix: str = ".ts", **changes: Any) -> bytes:
    """A whole file's bytes, as an encoder wrote it."""
    with tempfile.TemporaryDirectory() as folder:
        return make_clip(Path(folder) / f"clip{suffix}", seconds, **SMALL | changes).read_bytes()


def a_segment(seconds: float = 1, **changes: Any) -> bytes:
    """A TS segment as a gateway sends it."""
    return split(a_clip(seconds, suffix=".mp4", **changes), seconds)[0].data


def frame_times(data: bytes) -> list[Fraction]:
    """Presentation times of the decoded frames, in seconds."""
    with av.open(io.BytesIO(data)) as container:
        return [f.pts * Fraction(f.time_base) for f in container.decode(video=0)]


def key_times(data: bytes) -> list[float]:
    """Presentation times of the video packets that are key frames."""
    with av.open(io.BytesIO(data)) as container:
        return [float(p.pts * p.time_base) for p in container.demux(video=0) if p.size and p.is_keyframe]


def audio_payload(data: bytes) -> bytes:
    """The AAC frames without their container's framing."""
    with av.open(io.BytesIO(data)) as container:
        parts = [bytes(p) for p in container.demux(audio=0) if p.size]
    return b"".join(p[7:] if p[:1] == b"\xff" and p[1] & 0xF0 == 0xF0 else p for p in parts)


def without_key_frames(segment: bytes) -> bytes:
    """The same TS, key frames left out."""
    out = io.BytesIO()
    with av.open(io.BytesIO(segment)) as source, av.open(out, "w", format="mpegts") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size and not packet.is_keyframe:
                packet.stream = stream
                target.mux_one(packet)
    return out.getvalue()


def only_sound(segment: bytes) -> bytes:
    """The same TS, sound alone."""
    out = io.BytesIO()
    with av.open(io.BytesIO(segment)) as source, av.open(out, "w", format="mpegts") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    return out.getvalue()


def changing_size(first: tuple[int, int], then: tuple[int, int], frames_each: int = 10) -> bytes:
    """A TS whose picture changes its size half way."""
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        stream = None
        for part, (width, height) in enumerate((first, then)):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
            encoder.thread_count = 1
            encoder.options = {"preset": "ultrafast"}
            if stream is None:
                stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            packets = []
            for number in range(frames_each):
                frame = av.VideoFrame(width, height, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([40 + 10 * number]) * plane.buffer_size)
                frame.pts = part * frames_each + number
                frame.time_base = Fraction(1, 30)
                packets += encoder.encode(frame)
            for packet in packets + encoder.encode(None):
                packet.stream = stream
                container.mux_one(packet)
    return out.getvalue()
