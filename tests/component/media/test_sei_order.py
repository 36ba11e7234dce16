"""SEI behind the slices of its picture: what FFmpeg's parser makes of it is not what was sent."""

import io
import re
from itertools import pairwise

import av
import numpy as np
import pytest

from livefleet.media.inspection import inspect
from livefleet.media.sei_order import in_order
from livefleet.media.transcode import transcode_to_files
from tests.builders.media import a_job, a_profile, a_segment, encoded, frame_times, frames_at

pytestmark = pytest.mark.component

NOTE = b"\0\0\1\x06\x05\x12" + b"sixteen bytes id" + b"hi\x80"  # user data, unregistered
RECOVERY = b"\0\0\1\x06\x06\x01\xc4\x80"
SLICES, DELIMITER = range(1, 6), 9


def a_source(slices, b_frames):
    params = f"slices={slices}:aud=1"
    return encoded(frames_at(range(0, 1000, 40)), bf=str(b_frames), b_strategy="0", **{"x264-params": params})


def nals(picture):
    at = [found.start() for found in re.finditer(rb"\x00?\x00\x00\x01", picture)] + [len(picture)]
    return [picture[start:end] for start, end in pairwise(at)]


def kind(nal):
    return nal[nal.index(b"\1") + 1] & 0x1F


def behind(sei):
    return lambda picture: picture + sei


def between(sei):
    def change(picture):
        units = nals(picture)
        first = next(n for n, unit in enumerate(units) if kind(unit) in SLICES)
        return b"".join([*units[: first + 1], sei, *units[first + 1 :]])

    return change


def without_delimiters(change):
    return lambda picture: b"".join(unit for unit in nals(change(picture)) if kind(unit) != DELIMITER)


def with_pictures(segment, change):
    """The same TS, each picture's bytes changed."""
    out = io.BytesIO()
    with av.open(io.BytesIO(segment)) as source, av.open(out, "w", format="mpegts") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                copy = av.Packet(change(bytes(packet)))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                target.mux_one(copy)
    return out.getvalue()


def pictures(data):
    with av.open(io.BytesIO(data)) as opened:
        return np.stack([f.to_ndarray(format="gray") for f in opened.decode(video=0)])


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    "change",
    [
        behind(NOTE),
        behind(RECOVERY),
        between(NOTE),
        between(RECOVERY),
        without_delimiters(behind(NOTE)),
        without_delimiters(between(NOTE)),
    ],
    ids=["behind", "recovery behind", "between", "recovery between", "behind, no AUD", "between, no AUD"],
)
def test_transcode__misplaced_sei__is_as_without(slices, b_frames, change, tmp_path):
    plain = a_source(slices, b_frames)
    source = with_pictures(plain, change)
    outputs = [tmp_path / "0"]
    ours = transcode_to_files(a_job(source), outputs)
    assert ours.decoded_pixels == 320 * 180 * 25
    assert inspect(outputs[0]).frames == 25
    times, wanted = frame_times(outputs[0].read_bytes()), frame_times(plain)
    assert [at - times[0] for at in times] == [at - wanted[0] for at in wanted]
    transcode_to_files(a_job(with_pictures(plain, bytes)), [tmp_path / "1"])
    assert np.array_equal(pictures(outputs[0].read_bytes()), pictures((tmp_path / "1").read_bytes()))


def test_decoder__misplaced_sei_as_it_comes__splits_pictures():
    """Why the step is there."""
    assert inspect(with_pictures(a_source(4, 0), between(NOTE))).frames == 50


def test_in_order__misplaced_sei__moves_bytes_within_the_video_alone(tmp_path):
    source = with_pictures(a_segment(0.5), between(NOTE))
    fixed = in_order(source)
    assert fixed is not None
    assert len(fixed) == len(source)
    assert sorted(fixed) == sorted(source)
    (tmp_path / "ts").write_bytes(source)
    assert in_order(tmp_path / "ts") == fixed
    assert in_order(fixed) is None


@pytest.mark.parametrize("segment", [a_source(1, 0), a_source(4, 2), a_segment(0.3), a_segment(0.3, codec="libx265")])
def test_in_order__orderly_stream__is_left_alone(segment):
    assert in_order(segment) is None


@pytest.mark.parametrize("cut", [0, 1, 187, 188, 400, 5_000])
def test_in_order__beginning_alone__is_no_error(cut):
    source = with_pictures(a_source(4, 0), between(NOTE))
    assert in_order(source[:cut]) is None or cut > 1_000


@pytest.mark.parametrize("source", [b"\x47" * 188 * 60, b"\x47\0\1" * 188 * 20, b"\0\0\1\6" * 188 * 30])
def test_in_order__noise__is_left_alone(source):
    assert in_order(source) is None


def test_in_order__no_file__is_left_to_whoever_opens_it(tmp_path):
    assert in_order(tmp_path / "nothing") is None


def test_transcode__misplaced_sei_and_another_rate__counts_what_is_sent(tmp_path):
    source = with_pictures(a_source(4, 0), between(NOTE))
    outcome = transcode_to_files(a_job(source, a_profile(fps=25)), [tmp_path / "0"])
    assert outcome.encoded_pixels == (inspect(tmp_path / "0").pixels,)
