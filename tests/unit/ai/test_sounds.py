import functools
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.ai.sounds import seconds_of
from tests.builders.sounds import SOUND_FORMATS, a_sound, seconds_by_ffmpeg

pytestmark = pytest.mark.unit

NO_DURATION = "^Unable to calculate duration$"


@pytest.mark.parametrize("form", SOUND_FORMATS)
@pytest.mark.parametrize(("seconds", "rate", "channels"), [(2.7, 16_000, 1), (5.3, 44_100, 2)])
def test_seconds__every_format__are_ffmpegs(form: str, seconds: float, rate: int, channels: int):
    data = a_sound(form, seconds=seconds, rate=rate, channels=channels)
    # MP4 rounds its presentation's duration up to a millisecond.
    assert seconds_of(data) == pytest.approx(seconds_by_ffmpeg(data), abs=1.1e-3)
    assert seconds_of(data) == pytest.approx(seconds, abs=0.12)


def test_seconds__tag_with_a_picture_before_the_sound__is_skipped():
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 0x10, 0]) + b"\xff\xfb\x90\x00" * 512
    data = a_sound("mp3", seconds=3)
    assert seconds_of(tag + data) == seconds_of(data)


def test_seconds__wav_of_a_stream_that_did_not_know_its_length__are_the_bytes_there():
    data = a_sound("wav", seconds=3)
    at = data.index(b"data") + 4
    for told in (0, 0xFFFFFFFF):
        assert seconds_of(data[:at] + struct.pack("<I", told) + data[at + 4 :]) == pytest.approx(3)


def test_seconds__wav_cut_off__are_the_bytes_there():
    data = a_sound("wav", seconds=4)
    assert seconds_of(data[: len(data) // 2]) == pytest.approx(2, abs=0.01)


def test_seconds__live_webm_without_a_duration__are_not_known():
    data = a_sound("webm", seconds=3)
    at = data.index(b"\x44\x89\x88")
    with pytest.raises(ValueError, match=NO_DURATION):
        seconds_of(data[:at] + b"\xec\x89\x00" + data[at + 3 :])  # the element becomes a void one


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text where audio is due, and more of it " * 50,
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"\xff" * 100_000,
        bytes(100_000),
        b"RIFF\x00\x00\x00\x00WAVE",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"fLaC",
        b"OggS" * 1000,
        b"\x1a\x45\xdf\xa3",
        b"\x00\x00\x00\x08ftyp",
        b"\x00\x00\x00\x00ftypmoov",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_seconds__no_sound__are_refused_in_the_references_words(data: bytes):
    with pytest.raises(ValueError, match=NO_DURATION):
        seconds_of(data)


def test_seconds__wav_of_zero_bytes_a_second__are_refused():
    data = a_sound("wav")
    at = data.index(b"fmt ") + 8
    with pytest.raises(ValueError, match=NO_DURATION):
        seconds_of(data[:at] + struct.pack("<HHIIHH", 1, 0, 0, 0, 0, 0) + data[at + 16 :])


def assert_positive_or_refused(data: bytes) -> None:
    try:
        seconds = seconds_of(data)
    except ValueError as error:
        seconds = 1.0 if str(error) == "Unable to calculate duration" else -1
    assert 0 < seconds < float("inf")


a_short_sound = functools.cache(functools.partial(a_sound, seconds=1.2))


@settings(max_examples=300, deadline=None)
@given(form=st.sampled_from(sorted(SOUND_FORMATS)), cuts=st.data())
def test_seconds__damaged_file__either_are_positive_or_refused(form: str, cuts: st.DataObject):
    data = bytearray(a_short_sound(form))
    for _ in range(cuts.draw(st.integers(1, 8))):
        data[cuts.draw(st.integers(0, min(len(data), 800) - 1))] = cuts.draw(st.integers(0, 255))
    cut = bytes(data[: cuts.draw(st.integers(0, len(data)))])
    assert_positive_or_refused(cut)


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"RIFF....WAVE", b"fLaC", b"OggS", b"\x1a\x45\xdf\xa3", b"....ftyp"])
)
def test_seconds__any_bytes__either_are_positive_or_refused(data: bytes, magic: bytes):
    assert_positive_or_refused(magic + data)


def boxes(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfb\x92\x00\x00" * 8_000_000,
        boxes(b"ftyp", b"isom") + boxes(b"free", b"") * 5_000_000,
        boxes(b"ftyp", b"isom") + boxes(b"moov", boxes(b"free", b"") * 5_000_000),
        b"\x1a\x45\xdf\xa3\x80" + b"\xec\x80" * 20_000_000,
        b"OggS" * 12_000_000,
        b"RIFF....WAVE" + b"junk\x00\x00\x00\x00" * 5_000_000,
    ],
    ids=["mp3", "mp4-top", "mp4-inside", "webm", "ogg", "wav"],
)
def test_seconds__40_mb_made_to_take_long__are_refused_at_once(data: bytes):
    start = time.process_time()
    with pytest.raises(ValueError, match=NO_DURATION):
        seconds_of(data)
    assert time.process_time() - start < 0.5
