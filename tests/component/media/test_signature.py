"""Our MPEG-7 signature against the ffmpeg command's, bit for bit."""

import io
from fractions import Fraction

import av
import pytest

from livefleet.media import DeviceKind, hash_path
from livefleet.media.scaling import Scaler, SourceShape
from livefleet.media.signature import VideoSignature
from livefleet.media.transcode import transcode_to_files
from tests.builders.media import a_clip, a_job, a_profile
from tests.builders.pictures import ffmpeg_signature, grey_frames

pytestmark = pytest.mark.component


def signature(frames):
    made = VideoSignature()
    for frame in frames:
        made.add(frame)
    return made.binary()


@pytest.mark.parametrize(
    "size",
    [(32, 32), (64, 32), (146, 50), (256, 144), (426, 240), (240, 426), (854, 480), (1000, 52), (1920, 1080)],
    ids=lambda size: "x".join(map(str, size)),
)
def test_signature__any_size__is_ffmpeg_s(size, tmp_path):
    frames = list(grey_frames(*size, 3))
    assert signature(frames) == ffmpeg_signature(frames, tmp_path / "theirs")


@pytest.mark.parametrize("size", [(3840, 2160), (4096, 2304), (4094, 4094)], ids=lambda size: "x".join(map(str, size)))
def test_signature__sums_beyond_64_bits_or_rounded__are_ffmpeg_s(size, tmp_path):
    frames = list(grey_frames(*size, 1))
    assert signature(frames) == ffmpeg_signature(frames, tmp_path / "theirs")


@pytest.mark.parametrize("count", [1, 44, 45, 46, 89, 90, 91, 135, 136, 181])
def test_signature__any_length__has_ffmpeg_s_segments(count, tmp_path):
    frames = list(grey_frames(128, 96, count))
    assert signature(frames) == ffmpeg_signature(frames, tmp_path / "theirs")


@pytest.mark.parametrize("level", [0, 128, 255])
def test_signature__flat_pictures__are_ffmpeg_s(level, tmp_path):
    frames = list(grey_frames(160, 90, 2))
    for frame in frames:
        frame.planes[0].update(bytes([level]) * frame.planes[0].buffer_size)
    assert signature(frames) == ffmpeg_signature(frames, tmp_path / "theirs")


def test_signature__rate__is_in_it(tmp_path):
    frames = list(grey_frames(128, 96, 2, time_base=Fraction(1, 60)))
    assert signature(frames) == ffmpeg_signature(frames, tmp_path / "theirs", rate=60)


def test_transcode__hash_wanted__is_ffmpeg_s_of_the_frames_that_are_encoded(tmp_path):
    source = a_clip(0.5, suffix=".mkv", audio=False)
    profile = a_profile(fps=30)
    transcode_to_files(a_job(source, profile, calc_perceptual_hash=True), [tmp_path / "out"])
    scaler = Scaler(profile, SourceShape(DeviceKind.CPU, Fraction(30), None, None, None, ""))
    with av.open(io.BytesIO(source)) as opened:
        scaled = [p.frame for f in opened.decode(video=0) for p in scaler.pictures(f)]
    scaled += [p.frame for p in scaler.rest()]
    assert [frame.pts for frame in scaled] == list(range(15))
    assert hash_path(tmp_path / "out").read_bytes() == ffmpeg_signature(scaled, tmp_path / "theirs", rate=30)
