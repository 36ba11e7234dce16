from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import SessionId
from livefleet.media import DeviceKind, H264Profile, Profile, TranscodeError, TranscodeJob, VideoCodec, output_size
from livefleet.media.rendition import check_job, plan

pytestmark = pytest.mark.unit

CPU, GPU = DeviceKind.CPU, DeviceKind.NVIDIA


def a_profile(width=640, height=360, **changes):
    return Profile("p", width, height, 800_000, **changes)


def a_plan(profile, kind=CPU):
    return plan(profile, kind, 1280, 720, Fraction(30))


@pytest.mark.parametrize(
    ("bound", "source", "expected"),
    [
        ((640, 360), (1280, 720), (640, 360)),
        ((426, 240), (1920, 1080), (426, 240)),
        ((640, 360), (720, 1280), (360, 640)),  # portrait stays portrait
        ((360, 640), (1280, 720), (640, 360)),  # the larger requested side goes to the larger source side
        ((640, 640), (1280, 720), (640, 360)),
        ((320, 240), (1280, 720), (320, 180)),  # a bounding size, not the size
        ((427, 240), (1280, 720), (428, 240)),  # even
        ((256, 144), (853, 480), (256, 144)),
        ((100, 20), (1280, 720), (146, 82)),  # clamped up
        ((8000, 8000), (1280, 720), (4096, 2304)),  # clamped down
        ((160, 90), (1000, 100), (500, 50)),  # the short side would fall under its minimum
        ((160, 90), (100, 1000), (146, 1460)),
        ((640, 360), (500, 500), (640, 640)),
    ],
)
def test_output_size__known_shapes(bound, source, expected):
    assert output_size(a_profile(*bound), *source) == expected


@given(
    bound=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    source=st.tuples(st.integers(16, 8192), st.integers(16, 8192)),
    codec=st.sampled_from([VideoCodec.H264, VideoCodec.H265]),
)
def test_output_size__any_shape__is_even_and_within_limits(bound, source, codec):
    width, height = output_size(a_profile(*bound, codec=codec), *source)
    least_w, least_h, most = (146, 50, 4096) if codec is VideoCodec.H264 else (132, 40, 8192)
    assert width % 2 == height % 2 == 0
    assert least_w <= width <= most
    assert least_h <= height <= most


@given(source=st.tuples(st.integers(200, 4000), st.integers(200, 4000)))
def test_output_size__ordinary_source__keeps_the_aspect(source):
    width, height = output_size(a_profile(1280, 720), *source)
    if min(width, height) > 200:
        assert abs(width * source[1] - height * source[0]) <= 2 * max(source)


def test_plan__bitrate__is_average_bounds_and_buffer():
    options = a_plan(a_profile()).options
    assert {options[k] for k in ("b", "minrate", "maxrate", "bufsize")} == {"800000"}
    assert options["preset"] == "medium"
    assert options["forced-idr"] == "1"


def test_plan__quality__leaves_the_bitrate_as_maximum_only():
    cpu, gpu = (a_plan(a_profile(quality=47), kind).options for kind in (CPU, GPU))
    assert (cpu["crf"], cpu["maxrate"], "minrate" in cpu) == ("47", "800000", False)
    assert (gpu["cq"], gpu["b"], "minrate" in gpu) == ("51", "0", False)


@pytest.mark.parametrize(
    ("kind", "name", "fps", "profile", "b_frames"),
    [
        (CPU, H264Profile.DEFAULT, 0, None, "3"),
        (CPU, H264Profile.BASELINE, 0, "baseline", "0"),
        (CPU, H264Profile.MAIN, 0, "main", "3"),
        (CPU, H264Profile.HIGH, 0, "high", "3"),
        (CPU, H264Profile.CONSTRAINED_HIGH, 0, "high", "0"),
        (GPU, H264Profile.DEFAULT, 30, None, "0"),
        (GPU, H264Profile.HIGH, 0, "high", "0"),
        (GPU, H264Profile.HIGH, 30, "high", "3"),
        (GPU, H264Profile.MAIN, 0, "main", "0"),
        (GPU, H264Profile.MAIN, 30, "main", "3"),
        (GPU, H264Profile.BASELINE, 30, "baseline", "0"),
        (GPU, H264Profile.CONSTRAINED_HIGH, 30, "high", "0"),
    ],
)
def test_plan__profile__decides_b_frames(kind, name, fps, profile, b_frames):
    options = a_plan(a_profile(h264_profile=name, fps=fps), kind).options
    assert (options.get("profile"), options["bf"]) == (profile, b_frames)


@pytest.mark.parametrize("codec", [VideoCodec.H264, VideoCodec.H265])
@pytest.mark.parametrize("kind", [CPU, GPU])
def test_plan__every_encoder__has_preset_and_forced_idr(kind, codec):
    options = a_plan(a_profile(codec=codec), kind).options
    assert (options["preset"], options["forced-idr"]) == ("medium", "1")
    assert options.get("tier") == ("high" if kind is GPU and codec is VideoCodec.H265 else None)


def test_plan__gop_with_fps__counts_frames_by_the_numerator():
    made = a_plan(a_profile(gop_ms=1500, fps=30_000, fps_den=1001))
    assert made.options["g"] == "45000"
    assert made.key_interval is None
    assert made.fps == Fraction(30_000, 1001)


def test_plan__gop_without_fps__forces_key_frames_by_time():
    made = a_plan(a_profile(gop_ms=1500))
    assert "g" not in made.options
    assert made.key_interval == Fraction(3, 2)
    assert made.frame_rate == 30


def test_plan__intra_only():
    options = a_plan(a_profile(gop_ms=-1)).options
    assert (options["g"], options["bf"]) == ("1", "0")


def test_plan__no_encoder_for_the_codec__is_refused():
    with pytest.raises(TranscodeError) as refused:
        plan(a_profile(codec=VideoCodec.VP9), GPU, 640, 360, None)
    assert refused.value.text == "Encoder not found"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"duration_ms": 300_001}, "TranscoderInvalidDuration"),
        ({"profiles": (a_profile(),) * 11}, "Too many outputs"),
        ({"profiles": ()}, "TranscoderUnrecognizedProfile"),
        ({"profiles": (a_profile(width=0),)}, "TranscoderInvalidResolution"),
        ({"profiles": (a_profile(gop_ms=-2),)}, "TranscoderInvalidGOP"),
        ({"profiles": (Profile("p", 640, 360, 0),)}, "Invalid argument"),
        ({"profiles": (a_profile(codec=VideoCodec.VP8),)}, "Encoder not found"),
        ({"clip_from_ms": 500, "clip_to_ms": 500}, "TranscoderInvalidClipConfig"),
        ({"clip_from_ms": 500}, "TranscoderInvalidClipConfig"),
        ({"clip_from_ms": -1, "clip_to_ms": 5}, "TranscoderInvalidClipConfig"),
    ],
)
def test_check_job__impossible__is_refused_in_the_protocols_words(changes, text):
    fields = {"sequence": 1, "source": b"", "duration_ms": 2000, "profiles": (a_profile(),)} | changes
    with pytest.raises(TranscodeError) as refused:
        check_job(TranscodeJob(SessionId("s"), **fields))
    assert refused.value.text == text
