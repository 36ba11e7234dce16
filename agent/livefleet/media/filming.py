"""The process that joins pictures to a film: `python -m livefleet.media.filming`, started by `film` only.

stdin:  one line of JSON, `fps`, `width`, `height` and the `lengths` of the pictures; then the pictures, PNG.
stdout: the MP4. stderr: one line when there is none.
"""

import argparse
import ctypes
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

__all__ = ["join", "main"]

_BIT_RATE = 6_000_000
_PR_SET_PDEATHSIG = 1
_NICENESS = 5  # the agent answers gateways while films are made
_OOM_SCORE = "500"
_MAX_MEMORY = 4 * 1024**3  # bytes of address space; libav maps more than it uses
_MAX_CPU_S = 300


def join(frames: Iterable[bytes], *, fps: int, width: int, height: int) -> bytes:
    """An MP4 whose frames are the pictures, in their order. Raises ValueError for what is no PNG."""
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        assert isinstance(stream, VideoStream)
        encoder = stream.codec_context
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = Fraction(1, fps)
        encoder.bit_rate = _BIT_RATE
        encoder.color_range = ColorRange.MPEG
        for number, png in enumerate(frames):
            frame = _picture(png).reformat(
                width, height, "yuv420p", src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, fps), PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return film.getvalue()


def _picture(png: bytes) -> VideoFrame:
    try:
        with av.open(io.BytesIO(png), "r", format="png_pipe") as container:
            return next(container.decode(video=0))
    except (av.FFmpegError, StopIteration) as error:
        raise ValueError(f"a frame is no PNG: {type(error).__name__}") from error


def main() -> None:
    """Read, join, write."""
    arguments = argparse.ArgumentParser(prog="livefleet.media.filming")
    arguments.add_argument("--agent", required=True, type=int, help="the agent's process id")
    _settle(arguments.parse_args().agent)
    av.logging.set_level(None)
    source = sys.stdin.buffer
    asked = json.loads(source.readline())
    try:
        film = join(_read(source, asked["lengths"]), fps=asked["fps"], width=asked["width"], height=asked["height"])
    except (ValueError, av.FFmpegError, MemoryError) as error:
        sys.exit(f"{error or type(error).__name__}")
    sys.stdout.buffer.write(film)


def _read(source: BinaryIO, lengths: Iterable[int]) -> Iterator[bytes]:
    for length in lengths:
        yield source.read(length)


def _settle(agent: int) -> None:
    """Take the place of a child that may be lost at any time and must not outlive its agent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent:  # gone before the line above
        os._exit(0)
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))
    Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


if __name__ == "__main__":
    main()
