"""Media made on the spot: small segments of every kind, and jobs to do with them."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

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


def remuxed(
    segment: bytes,
    *,
    suffix: str = "mpegts",
    keep: Callable[[int, Any], bool] = lambda _number, _packet: True,
    shift_s: float = 0,
    audio: int = 1,
    data: bytes = b"",
    **options: str,
) -> bytes:
    """The same packets muxed again: `keep` by number and packet, `audio` copies of the sound, a data stream."""
    out = io.BytesIO()
    with av.open(io.BytesIO(segment)) as source, av.open(out, "w", format=suffix, options=options) as target:
        streams = {source.streams.video[0].index: [target.add_stream_from_template(source.streams.video[0])]}
        if source.streams.audio and audio:
            sound = source.streams.audio[0]
            streams[sound.index] = [target.add_stream_from_template(sound) for _ in range(audio)]
        if data:
            klv = target.add_data_stream("klv")
        for number, packet in enumerate(p for p in source.demux() if p.size and p.stream.index in streams):
            if not keep(number, packet):
                continue
            packet.pts += round(shift_s / packet.time_base)
            packet.dts += round(shift_s / packet.time_base)
            for stream in streams[packet.stream.index]:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                target.mux_one(copy)
            if data and packet.stream.type == "video":
                note = av.Packet(data)
                note.pts = note.dts = packet.dts
                note.time_base, note.stream = packet.time_base, klv
                target.mux_one(note)
    return out.getvalue()


def encoded(
    frames: Iterable[av.VideoFrame],
    *,
    container: str = "mpegts",
    turned: float = 0,
    matrix: tuple[int, int, int, int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    **options: str,
) -> bytes:
    """H.264 of frames with timestamps of one's own.

    In the container's display matrix: `turned`, in degrees, or for MP4 `matrix`, its corner in 1/65536.
    """
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = None
        for frame in frames:
            if stream is None:
                stream = target.add_stream("libx264", rate=30, options={"preset": "ultrafast", **options})
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
                stream.thread_count = 1
                stream.codec_context.time_base = time_base
                if turned:
                    stream.set_display_rotation(turned)
            frame.time_base = time_base
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue() if matrix is None else _with_matrix(out.getvalue(), matrix)


def _with_matrix(mp4: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    at = mp4.index(b"tkhd") + 44  # of a version 0 box
    a, b, c, d = matrix
    return mp4[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + mp4[at + 36 :]


def frames_at(times_ms: Iterable[int], width: int = 320, height: int = 180) -> Iterator[av.VideoFrame]:
    """Pictures whose left half is bright and whose top right quarter is dark, so that it shows which side is up."""
    for number, at in enumerate(times_ms):
        grey = np.full((height, width), 120, np.uint8)
        grey[:, : width // 2] = 200 + number % 20
        grey[: height // 2, width // 2 :] = 30
        frame = av.VideoFrame.from_ndarray(
            np.vstack([grey, np.full((height // 2, width), 128, np.uint8)]), format="yuv420p"
        )
        frame.pts = at
        yield frame


def with_video_pts(segment: bytes, change: Callable[[int, int], int | None]) -> bytes:
    """A TS whose video PES headers tell other presentation times (90 kHz), or none; `change` gets number and time."""
    data = bytearray(segment)
    number = 0
    for at in range(0, len(data), 188):
        payload = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if not data[at + 1] & 0x40 or data[payload : payload + 3] != b"\0\0\1" or data[payload + 3] & 0xF0 != 0xE0:
            continue
        flags, field = data[payload + 7] >> 6, payload + 9
        assert flags & 2
        raw = int.from_bytes(data[field : field + 5], "big")
        pts = (raw >> 33 & 7) << 30 | (raw >> 17 & 0x7FFF) << 15 | raw >> 1 & 0x7FFF
        new = change(number, pts)
        number += 1
        if new is None:
            data[payload + 7] &= 0x3F
            data[field : field + 5 * (flags - 1)] = b"\xff" * 5 * (flags - 1)
            continue
        new %= 1 << 33
        word = flags << 36 | (new >> 30) << 33 | (new >> 15 & 0x7FFF) << 17 | (new & 0x7FFF) << 1 | 0x100010001
        data[field : field + 5] = word.to_bytes(5, "big")
    return bytes(data)
