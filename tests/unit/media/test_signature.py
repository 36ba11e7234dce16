"""MPEG-7 signatures that Debian's ffmpeg 5.1.9 made of the same pictures (`tests.builders.pictures`)."""

import hashlib
from fractions import Fraction

import pytest

from livefleet.media.signature import VideoSignature
from livefleet.media.signature_elements import CATEGORIES, WORDS
from tests.builders.pictures import grey_frames

pytestmark = pytest.mark.unit


def signature(frames):
    made = VideoSignature()
    for frame in frames:
        made.add(frame)
    return made.binary()


@pytest.mark.parametrize(
    ("width", "height", "count", "digest"),
    [
        (32, 32, 1, "5dade7083e549812f2c0547917b2ad56ed4a772616ee530171066793a3f524e8"),
        (256, 144, 100, "aca14dfbde7cd3f2faf105c7a2da09c868f6743cece349e1cf864ee159ae9bdb"),
        (426, 240, 46, "f1f54535d88f91e092296c9bfa88b5e430b3b3886216dd43dcf80c9491dfc721"),
        (854, 480, 3, "18fabc8118b40bf2b660ba951d9988b32fe78ad4c889b2932f44f49d6f613da4"),
    ],
)
def test_signature__known_pictures__are_as_ffmpeg_made_them(width, height, count, digest):
    assert hashlib.sha256(signature(grey_frames(width, height, count))).hexdigest() == digest


def test_signature__more_ticks_a_second_than_16_bits__number_of_frames_stays_right():
    """FFmpeg before 6.1 writes the upper bits over the number of frames."""
    frames = list(grey_frames(64, 64, 2))
    for frame in frames:
        frame.time_base = Fraction(1, 90_000)
    made = int.from_bytes(signature(frames)[:26], "big")
    after_frames = 26 * 8 - (32 + 1 + 32 + 16 + 16 + 32 + 32)
    assert made >> after_frames & 0xFFFFFFFF == 2
    assert made >> after_frames - 16 & 0xFFFF == 90_000 & 0xFFFF


def test_signature__size_changes_midway__all_frames_are_in_it():
    mixed = [*grey_frames(64, 64, 2), *grey_frames(96, 64, 3)]
    assert len(signature(mixed)) == len(signature(grey_frames(64, 64, 5)))


def test_signature__no_frames__is_refused():
    with pytest.raises(ValueError, match="no frames"):
        VideoSignature().binary()


def test_elements__are_as_many_as_the_standard_has_by_category():
    assert [len(category) for category in CATEGORIES] == [20, 12, 116, 25, 36, 30, 62, 9, 50, 20]
    assert sorted(len(word) for word in WORDS) == [5] * 5
