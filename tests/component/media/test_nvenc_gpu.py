"""On a real GPU with NVENC: what the CPU's tests promise, by the hardware. `pytest -m gpu`."""

import io

import av
import numpy as np
import pytest

from livefleet.media import Container, Device, DeviceKind, H264Profile, TranscodeError, VideoCodec, hash_path
from livefleet.media.inspection import inspect
from livefleet.media.probing import opens, probe_device, reuses_codecs
from livefleet.media.transcode import transcode_to_files
from livefleet.media.warm import Shelf
from tests.builders.media import a_job, a_profile, a_segment, changing_size, encoded, frame_times, frames_at, key_times

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def segment():
    return a_segment(1, width=640, height=360)


@pytest.fixture
def transcode(tmp_path):
    def run(source, *profiles, kind=DeviceKind.NVIDIA):
        job = a_job(source, *profiles)
        outputs = [tmp_path / f"{kind}-{index}" for index in range(len(job.profiles))]
        outcome = transcode_to_files(job, outputs, kind=kind)
        renditions = [path.read_bytes() for path in outputs]
        assert outcome.encoded_pixels == tuple(inspect(data).pixels for data in renditions)
        return outcome, renditions

    return run


def luma(data):
    with av.open(io.BytesIO(data)) as opened:
        return np.stack([f.to_ndarray(format="gray").astype(float) for f in opened.decode(video=0)])


def test_nvenc__opens():
    assert opens("h264_nvenc") == ""


def test_probe__gpu__proves_its_inputs(tmp_path):
    probe = probe_device(Device("gpu", DeviceKind.NVIDIA), tmp_path)
    assert probe.problem == ""
    assert "h264_nvenc" in probe.encoders
    assert probe.encoder_sessions == 0 or probe.encoder_sessions >= 2


@pytest.mark.parametrize("container", Container)
@pytest.mark.parametrize("size", [(256, 144), (320, 180), (640, 360)])
def test_nvenc__size_and_times(segment, size, container, transcode):
    width, height = size
    outcome, (rendition,) = transcode(segment, a_profile(width=width, height=height, container=container))
    info = inspect(rendition)
    assert (info.width, info.height, info.frames) == (*size, 30)
    assert outcome.decoded_pixels == 640 * 360 * 30
    assert frame_times(rendition) == frame_times(segment)


def test_nvenc__picture__is_the_cpu_s(segment, transcode):
    profile = a_profile(width=640, height=360, bitrate=6_000_000)
    _, (ours,) = transcode(segment, profile)
    _, (theirs,) = transcode(segment, profile, kind=DeviceKind.CPU)
    error = np.mean((luma(ours) - luma(theirs)) ** 2)
    assert 10 * np.log10(255**2 / error) > 30


@pytest.mark.parametrize(("gop_ms", "fps", "keys"), [(500, 30, 2), (-1, 0, 30), (250, 0, 4), (0, 0, 1)])
def test_nvenc__gop(segment, gop_ms, fps, keys, transcode):
    _, (rendition,) = transcode(segment, a_profile(gop_ms=gop_ms, fps=fps))
    assert len(key_times(rendition)) == keys


@pytest.mark.parametrize("fps", [0, 15, 60])
@pytest.mark.parametrize("profile", H264Profile)
def test_nvenc__h264_profiles(segment, profile, fps, transcode):
    _, (rendition,) = transcode(segment, a_profile(h264_profile=profile, fps=fps))
    with av.open(io.BytesIO(rendition)) as opened:
        packets = [p for p in opened.demux(video=0) if p.size]
    has_b_frames = any(p.pts != p.dts for p in packets)
    assert has_b_frames == (bool(fps) and profile in {H264Profile.MAIN, H264Profile.HIGH})


def test_nvenc__h265(segment, transcode):
    if opens("hevc_nvenc"):  # says why not: a GPU without this encoder has to refuse the job
        with pytest.raises(TranscodeError):
            transcode(segment, a_profile(codec=VideoCodec.H265))
        return
    _, (rendition,) = transcode(segment, a_profile(codec=VideoCodec.H265))
    assert inspect(rendition).codec == "hevc"


def test_nvenc__quality__is_smaller_when_worse(segment, transcode):
    _, (fine, coarse) = transcode(
        segment, a_profile(quality=15, bitrate=4_000_000), a_profile(quality=44, bitrate=4_000_000)
    )
    assert len(coarse) < len(fine)


def test_nvenc__size_changes_midway(transcode):
    source = changing_size((320, 180), (180, 320))
    outcome, _ = transcode(source, a_profile(), a_profile(container=Container.MP4))
    assert outcome.decoded_pixels == inspect(source).pixels


@pytest.mark.parametrize("source", [{"pix_fmt": "yuv420p10le"}, {"pix_fmt": "yuv422p"}, {"codec": "libx265"}])
def test_nvenc__sources_of_other_kinds(source, transcode):
    _, (rendition,) = transcode(a_segment(0.5, **source))
    assert inspect(rendition).frames == 15


def test_nvenc__turned__is_upright(transcode):
    source = encoded(frames_at(range(0, 500, 33)), container="mp4", turned=90)
    _, (rendition,) = transcode(source)
    assert (inspect(rendition).width, inspect(rendition).height) == (146, 260)


def test_nvenc__kept_encoder__is_found_fit(tmp_path):
    """The very trial that decides whether a worker keeps encoders."""
    assert reuses_codecs(Device("gpu", DeviceKind.NVIDIA), Shelf(4, lambda: 0.0), tmp_path)


@pytest.mark.parametrize("changes", [{}, {"fps": 15}, {"gop_ms": 250}, {"h264_profile": H264Profile.HIGH, "fps": 30}])
def test_nvenc__kept_encoder__makes_of_each_segment_what_a_fresh_one_does(segment, changes, tmp_path):
    shelf, output = Shelf(4, lambda: 0.0), tmp_path / "0"
    made = []
    for _ in range(3):
        job = a_job(segment, a_profile(**changes))
        outcome = transcode_to_files(job, [output], kind=DeviceKind.NVIDIA, shelf=shelf)
        assert outcome.encoded_pixels == (inspect(output).pixels,)
        made.append((inspect(output), frame_times(output.read_bytes()), key_times(output.read_bytes())))
    assert shelf.reused == 2 * 2
    assert made[0] == made[1] == made[2]


def test_nvenc__kept_encoders__give_way_at_the_driver_s_limit(segment, tmp_path):
    shelf = Shelf(100, lambda: 0.0)
    for number in range(40):
        job = a_job(segment, a_profile(), session=f"s{number}")
        transcode_to_files(job, [tmp_path / "0"], kind=DeviceKind.NVIDIA, shelf=shelf)
    assert inspect(tmp_path / "0").frames == 30


def test_nvenc__hash_wanted__is_of_the_frames_that_are_encoded(segment, tmp_path):
    for kind in DeviceKind:
        job = a_job(segment, a_profile(fps=30), calc_perceptual_hash=True)
        transcode_to_files(job, [tmp_path / kind], kind=kind)
    ours, theirs = (hash_path(tmp_path / kind).read_bytes() for kind in DeviceKind)
    assert len(ours) == len(theirs)
