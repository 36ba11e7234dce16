"""Pillow within bounds: what is decoded, and that nothing else gets through or takes the process along."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from livefleet.ai.errors import InferenceFailed
from livefleet.ai.pipelines.pictures import a_picture, as_png, decode
from tests.builders.images import a_png, png_of

pytestmark = pytest.mark.unit


def as_file(form: str, mode: str = "RGB", size: tuple[int, int] = (40, 24)) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, format=form)
    return file.getvalue()


@pytest.mark.parametrize(
    "upload",
    [as_file("PNG"), as_file("PNG", "L"), as_file("PNG", "P"), as_file("JPEG"), as_file("GIF"), as_file("PNG", "RGBA")],
)
def test_decode__formats_of_gateways__become_rgb(upload: bytes):
    picture = decode(upload, max_side=64)
    assert (picture.mode, picture.size) == ("RGB", (40, 24))


def test_decode__own_files__come_back():
    assert decode(a_picture(16, 8), max_side=64).tobytes() == bytes([127] * 16 * 8 * 3)
    picture = decode(a_png(16, 8, shade=9), max_side=64)
    assert decode(as_png(picture), max_side=64).tobytes() == picture.tobytes()


BOMB = zlib.compress(b"\0" * 300_000_000, 9)
TWO_HEADERS = a_png(16, 16)[:33] + a_png(64, 64)[8:]


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (b"", "unknown format"),
        (b"a long story", "unknown format"),
        (as_file("BMP"), "unknown format"),
        (as_file("WEBP"), "unknown format"),
        (a_png(40, 24)[:-30], ""),
        (as_file("PNG")[:200], ""),
        (as_file("JPEG")[:-200], "truncated"),
        (png_of(40, 24, b"not deflated"), ""),
        (png_of(40, 24, b""), ""),
        (png_of(100_000, 100_000, BOMB), "at most 64 pixels a side"),
        (png_of(65, 8, BOMB), "at most 64 pixels a side"),
        (png_of(40, 24, zlib.compress(b"x" * 9), further=((b"iCCP", b"n\0\0" + BOMB),)), ""),
        (png_of(40, 24, zlib.compress(b"x" * 9), further=((b"zTXt", b"n\0\0" + BOMB),)), ""),
        (TWO_HEADERS, "header"),
        (as_file("GIF")[:6] + struct.pack("<HH", 4, 4) + as_file("GIF")[10:], "header"),
    ],
)
def test_decode__broken_short_or_bomb__is_the_requests_fault(upload: bytes, said: str):
    with pytest.raises(InferenceFailed, match=r"^image: ") as refused:
        decode(upload, max_side=64)
    assert said in str(refused.value)


@given(st.sampled_from([as_file("PNG"), as_file("JPEG"), as_file("GIF")]), st.data())
def test_decode__bytes_changed__is_a_picture_or_a_refusal(file: bytes, data: st.DataObject):
    changed = bytearray(file)
    for place in data.draw(st.lists(st.integers(0, len(file) - 1), min_size=1, max_size=8)):
        changed[place] = data.draw(st.integers(0, 255))
    try:
        picture = decode(bytes(changed), max_side=64)
    except InferenceFailed:
        return
    assert max(picture.size) <= 64
