import contextlib
import struct
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livefleet.ai.pictures import MAX_PIXELS, MAX_SIDE, bounded_size_of, size_of
from tests.builders.ai_files import PNG_MAGIC, gif, jpeg, jpeg_segment, png

pytestmark = pytest.mark.unit

SIDES = st.integers(1, 65_535)


@given(SIDES, SIDES, st.sampled_from((png, gif, jpeg)))
def test_size_of__any_format__is_width_then_height(width, height, make):
    assert size_of(make(width, height)) == (width, height)


@pytest.mark.parametrize("frame", [0xC0, 0xC1, 0xC2])
def test_size_of__jpeg_with_metadata_first__skips_it(frame):
    exif = jpeg_segment(0xE1, b"Exif\0\0" + jpeg(9, 9))  # a thumbnail inside is not the picture
    fill = b"\xff\xff\xff"
    assert size_of(jpeg(640, 480, frame=frame, before=exif + fill + jpeg_segment(0xFE, b"note"))) == (640, 480)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "image: unknown format"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image: unknown format"),
        (b"a poem about the sea", "image: unknown format"),
        (PNG_MAGIC, "unexpected EOF"),
        (png(8, 8)[:-1] + b"\0", "png: invalid format: invalid checksum"),
        (PNG_MAGIC + struct.pack(">I", 13) + b"IDAT" + bytes(17), "png: invalid format: not an IHDR chunk first"),
        (png(2**31, 8), "png: invalid format: non-positive dimension"),
        (png(0, 8), "the image is 0x8"),
        (gif(8, 8)[:12], "gif: reading header: unexpected EOF"),
        (b"\xff\xd8", "unexpected EOF"),
        (b"\xff\xd8\xff\xe0\0\x01", "invalid JPEG format: short segment length"),
        (b"\xff\xd8\xff\xda", "invalid JPEG format: missing SOF marker"),
        (b"\xff\xd8" + jpeg_segment(0xC0, b"\x08"), "invalid JPEG format: SOF has wrong length"),
    ],
)
def test_size_of__no_whole_header__says_so_in_the_words_of_gateways(data, text):
    with pytest.raises(ValueError, match="^" + text + "$"):
        size_of(data)


@given(st.binary(max_size=300), st.sampled_from((b"", PNG_MAGIC, b"GIF89a", b"\xff\xd8")))
@example(jpeg(1, 1)[2:], b"\xff\xd8")
def test_size_of__any_bytes__are_a_size_or_a_reason(data, magic):
    with contextlib.suppress(ValueError):
        assert min(size_of(magic + data)) > 0


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xe0\x00\x02", b"\x00"])
def test_size_of__jpeg_made_to_take_long__is_given_up_at_once(filler):
    data = b"\xff\xd8" + filler * (20_000_000 // len(filler))
    began = time.process_time()
    with pytest.raises(ValueError, match=r"EOF|SOF"):
        size_of(data)
    assert time.process_time() - began < 1  # 20 MB passed over once; marker by marker it would be several seconds


def test_bounded_size_of__within__is_the_size():
    assert bounded_size_of(png(MAX_SIDE, MAX_PIXELS // MAX_SIDE)) == (MAX_SIDE, MAX_PIXELS // MAX_SIDE)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (png(MAX_SIDE + 1, 1), "8193x1, at most 8192 pixels a side"),
        (png(MAX_SIDE, MAX_SIDE), "67108864 pixels, at most"),
        (png(2**31 - 1, 2**31 - 1), "at most 8192 pixels a side"),
    ],
)
def test_bounded_size_of__bomb__is_refused_by_its_header(data, text):
    with pytest.raises(ValueError, match=text):
        bounded_size_of(data)
