"""Grey pictures that are the same everywhere, and what the ffmpeg command makes of them."""

import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def grey_frames(
    width: int, height: int, count: int, *, time_base: Fraction = Fraction(1, 25)
) -> Iterator[av.VideoFrame]:
    """Frames of overlapping waves that move, with some noise: whole numbers only, so that no machine differs."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    across, down = x * 1024 // width, y * 1024 // height
    for number in range(count):
        wave = (across * (3 + number % 7) + down * (5 + number % 11) + across * down // (64 + number)) % 512
        noise = (x * 7919 + y * 104_729 + number * 1_299_709) % 41 - 20
        luma = np.clip(np.abs(wave - 256) + noise + number % 90 - 45, 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(luma, format="gray")
        frame.pts, frame.time_base = number, time_base
        yield frame


def ffmpeg_signature(frames: list[av.VideoFrame], path: Path, *, rate: int = 25) -> bytes:
    """What ffmpeg's own `signature` filter writes for the luma of these frames, numbered from zero."""
    size = f"{frames[0].width}x{frames[0].height}"
    command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-r", str(rate)]
    command += ["-i", "-", "-vf", f"signature=filename={path}", "-f", "null", "-"]
    subprocess.run(command, input=b"".join(_luma(frame) for frame in frames), check=True)
    return path.read_bytes()


def _luma(frame: av.VideoFrame) -> bytes:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width].tobytes()
