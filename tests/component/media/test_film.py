"""Films by the real child process, read back by PyAV."""

import asyncio
import contextlib
import io
import os
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from livefleet.kernel import OutsideWorld
from livefleet.media.film import film_of

pytestmark = pytest.mark.component


def grey_png(shade: int, *, width: int = 96, height: int = 64) -> bytes:
    rows = (b"\0" + bytes([shade] * 3) * width) * height

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended has none
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


async def test_film__frames__come_in_their_order_size_and_pace():
    shades = [20 * number for number in range(12)]
    film = await film_of([grey_png(shade) for shade in shades], fps=6, size=(96, 64))
    with av.open(io.BytesIO(film)) as container:
        assert "mp4" in container.format.name
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.format.name) == ("h264", "yuv420p")
        assert stream.average_rate == 6
        frames = [(frame.time, frame.width, frame.height, frame.to_ndarray(format="gray")) for frame in
                  container.decode(stream)]  # fmt: skip
    assert [(width, height) for _, width, height, _ in frames] == [(96, 64)] * 12
    assert [time for time, *_ in frames] == pytest.approx([number / 6 for number in range(12)], abs=1e-3)
    assert [int(grey.mean()) for *_, grey in frames] == pytest.approx(shades, abs=4)


async def test_film__other_size__is_scaled():
    film = await film_of([grey_png(100)], fps=7, size=(48, 32))
    with av.open(io.BytesIO(film)) as container:
        (frame,) = container.decode(video=0)
    assert (frame.width, frame.height) == (48, 32)


@pytest.mark.parametrize("frame", [b"", b"text", grey_png(1)[:40], grey_png(1)[:-30]])
async def test_film__frame_is_no_picture__is_the_outsides_fault(frame: bytes):
    with pytest.raises(OutsideWorld, match="the frames make no film: a frame is no PNG"):
        await film_of([grey_png(1), frame], fps=7, size=(96, 64))


async def test_film__takes_too_long__the_process_ends():
    with pytest.raises(OutsideWorld, match=r"joining 1 frames to a film took more than 0\.01 s"):
        await film_of([grey_png(1)], fps=7, size=(96, 64), timeout_s=0.01)


async def test_film__process_is_killed__says_so():
    async def kill_it() -> None:
        for _ in range(1000):
            if born := children() - before:
                os.kill(born.pop(), signal.SIGKILL)
                return
            await asyncio.sleep(0.001)

    before = children()
    async with asyncio.TaskGroup() as group:
        group.create_task(kill_it())
        with pytest.raises(OutsideWorld, match="died of SIGKILL"):
            await film_of([grey_png(1)], fps=7, size=(96, 64))
