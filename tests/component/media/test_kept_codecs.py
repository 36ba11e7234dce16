"""Codecs from a shelf: each segment must come out as without one.

The decoder serves again. Encoders do not on a CPU: x264 cannot be used again, so what is seen of them here is the case
that a kept one fails.
"""

import io
from dataclasses import replace

import av
import numpy as np
import pytest

from livefleet.media import CPU, Container, Probe, TranscodeError, VideoCodec
from livefleet.media.inspection import inspect
from livefleet.media.probing import reuses_codecs, shelf_for
from livefleet.media.segmenter import split
from livefleet.media.transcode import transcode_to_files
from livefleet.media.warm import Shelf
from tests.builders.media import (
    a_clip,
    a_job,
    a_profile,
    a_segment,
    audio_payload,
    changing_size,
    frame_times,
    key_times,
)

pytestmark = pytest.mark.component


@pytest.fixture
def shelf():
    return Shelf(8, lambda: 0.0)


@pytest.fixture
def transcode(tmp_path):
    def run(job, shelf=None):
        outputs = [tmp_path / str(index) for index in range(len(job.profiles))]
        outcome = transcode_to_files(job, outputs, shelf=shelf)
        return outcome, [path.read_bytes() for path in outputs]

    return run


def pictures(data):
    with av.open(io.BytesIO(data)) as opened:
        return np.stack([frame.to_ndarray(format="gray") for frame in opened.decode(video=0)])


@pytest.mark.parametrize("container", Container)
@pytest.mark.parametrize("codec", [VideoCodec.H264, VideoCodec.H265])
def test_transcode__with_a_shelf__is_the_same_again_and_again(segment, container, codec, shelf, transcode):
    job = a_job(segment, a_profile(container=container, codec=codec), a_profile(fps=15, gop_ms=500))
    plain_outcome, plain = transcode(job)
    for _ in range(3):
        outcome, renditions = transcode(job, shelf)
        assert outcome == plain_outcome
        assert len(shelf) == 1 + (2 if container is Container.MPEGTS else 1)
        for ours, theirs in zip(renditions, plain, strict=True):
            assert inspect(ours) == inspect(theirs)
            assert frame_times(ours) == frame_times(theirs)
            assert key_times(ours) == key_times(theirs)
            assert audio_payload(ours) == audio_payload(theirs)
            assert np.array_equal(pictures(ours), pictures(theirs))
    assert shelf.reused == 2, "the decoder; x264 says that it can be used again, and cannot"


@pytest.mark.parametrize("container", Container)
def test_transcode__size_changes_midway__is_the_same(container, shelf, transcode):
    job = a_job(changing_size((320, 180), (180, 320)), a_profile(container=container))
    plain_outcome, (plain,) = transcode(job)
    outcome, (ours,) = transcode(job, shelf)
    assert outcome == plain_outcome
    assert frame_times(ours) == frame_times(plain)


def test_transcode__session_is_to_begin_anew__nothing_kept_is_used(segment, shelf, transcode):
    job = a_job(segment)
    transcode(job, shelf)
    transcode(replace(job, force_reinit=True), shelf)
    assert shelf.reused == 0
    transcode(job, shelf)
    assert shelf.reused == 1


def test_transcode__job_fails__keeps_nothing(segment, shelf, tmp_path):
    with pytest.raises(TranscodeError):
        transcode_to_files(a_job(segment), [tmp_path / "no folder" / "0"], shelf=shelf)
    stop = iter([False] * 10)
    with pytest.raises(TranscodeError):
        transcode_to_files(a_job(segment), [tmp_path / "0"], shelf=shelf, is_cancelled=lambda: next(stop, True))
    assert len(shelf) == 0


def test_decoder__kept__gives_the_frames_of_each_segment_alone(shelf, transcode):
    """Segments that begin anywhere, with B-frames, one after the other."""
    segments = split(a_clip(3, suffix=".mp4", codec="libx264"), 1)
    assert len(segments) == 3
    for number, piece in enumerate(segments):
        outcome, (ours,) = transcode(a_job(piece.data), shelf)
        plain_outcome, (plain,) = transcode(a_job(piece.data))
        assert outcome == plain_outcome
        assert np.array_equal(pictures(ours), pictures(plain))
        assert frame_times(ours) == frame_times(plain)
        assert shelf.reused == number


def test_decoder__damaged_segment__is_not_kept(segment, shelf, transcode):
    damaged = bytearray(segment)
    for at in range(len(damaged) // 3, len(damaged) - 400, 61):
        damaged[at] ^= 0xFF
    transcode(a_job(bytes(damaged)), shelf)
    assert len(shelf) == 1
    _, (ours,) = transcode(a_job(segment), shelf)
    assert inspect(ours).frames == 30
    assert shelf.reused == 0


def test_decoder__other_size__is_another(shelf, transcode):
    for size in ((320, 180), (180, 320), (320, 180)):
        outcome, _ = transcode(a_job(a_segment(0.3, width=size[0], height=size[1])), shelf)
        assert outcome.decoded_pixels == 320 * 180 * 9
    assert shelf.reused == 0


def test_reuses_codecs__x264__is_found_out(shelf, tmp_path):
    assert not reuses_codecs(CPU, shelf, tmp_path)
    assert len(shelf) == 0
    assert list(tmp_path.iterdir()) == []


def test_shelf_for__cpu__there_is_none(tmp_path):
    assert shelf_for(CPU, Probe("cpu", ("libx264",), ()), tmp_path) is None
