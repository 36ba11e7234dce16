"""Inputs that differ from what a tidy encoder makes, each one made on the spot."""

import gc
import io
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from livefleet.media import Container
from livefleet.media.inspection import inspect
from livefleet.media.transcode import transcode_to_files
from tests.builders.media import (
    a_clip,
    a_job,
    a_profile,
    a_segment,
    audio_payload,
    encoded,
    frame_times,
    frames_at,
    key_times,
    remuxed,
    with_video_pts,
)

pytestmark = pytest.mark.component


@pytest.fixture
def transcode(tmp_path):
    """Do a job in this process; the outcome and the renditions' bytes. Reported pixels are held against the decoded."""

    def run(source, *profiles, **changes):
        job = a_job(source, *profiles, **changes)
        outputs = [tmp_path / f"{index}" for index in range(len(job.profiles))]
        outcome = transcode_to_files(job, outputs)
        renditions = [path.read_bytes() for path in outputs]
        assert outcome.encoded_pixels == tuple(inspect(data).pixels for data in renditions)
        return outcome, renditions

    return run


def first_luma(data):
    with av.open(io.BytesIO(data)) as opened:
        frame = next(opened.decode(video=0))
        assert frame.rotation == 0
        return frame.to_ndarray(format="gray").astype(int)


@pytest.mark.parametrize(
    ("degrees", "size", "dark"),
    [
        (0, (256, 144), "top right"),
        (90, (146, 260), "top left"),
        (180, (256, 144), "bottom left"),
        (-90, (146, 260), "bottom right"),
    ],
)
@pytest.mark.parametrize("container", Container)
def test_transcode__display_matrix__turns_the_picture_upright(degrees, size, dark, container, transcode):
    source = encoded(frames_at(range(0, 500, 33)), container="mp4", turned=degrees, movflags="faststart")
    outcome, (rendition,) = transcode(source, a_profile(container=container))
    info = inspect(rendition)
    assert (info.width, info.height) == size
    assert outcome.decoded_pixels == 320 * 180 * info.frames
    assert shades(rendition)[0] == dark


ONE = 1 << 16


@pytest.mark.parametrize(
    ("matrix", "size", "dark", "middle"),
    [
        ((ONE, 0, 0, ONE), (256, 144), "top right", "bottom right"),
        ((-ONE, 0, 0, ONE), (256, 144), "top left", "bottom left"),  # mirrored, as a front camera does
        ((ONE, 0, 0, -ONE), (256, 144), "bottom right", "top right"),  # upside down
        ((-ONE, 0, 0, -ONE), (256, 144), "bottom left", "top left"),
        ((0, -ONE, ONE, 0), (146, 260), "top left", "top right"),
        ((0, ONE, -ONE, 0), (146, 260), "bottom right", "bottom left"),
        ((0, ONE, ONE, 0), (146, 260), "bottom left", "bottom right"),  # turned and mirrored
        ((0, -ONE, -ONE, 0), (146, 260), "top right", "top left"),
        ((2 * ONE, 0, 0, 2 * ONE), (256, 144), "top right", "bottom right"),  # how large to show it is not our business
        ((0, 0, 0, 0), (256, 144), "top right", "bottom right"),  # no matrix at all
        ((ONE, ONE // 100, -ONE // 100, ONE), (256, 144), "top right", "bottom right"),  # a little askew
    ],
)
@pytest.mark.parametrize("fps", [0, 30])
def test_transcode__display_matrix__mirrors_too(matrix, size, dark, middle, fps, transcode):
    source = encoded(frames_at(range(0, 500, 33)), container="mp4", matrix=matrix)
    _, (rendition,) = transcode(source, a_profile(fps=fps))
    assert (inspect(rendition).width, inspect(rendition).height) == size
    assert shades(rendition)[:2] == [dark, middle]


def shades(rendition):
    """The quarters of the first picture, darkest first."""
    luma = first_luma(rendition)
    top, left = luma.shape[0] // 2, luma.shape[1] // 2
    quarters = {
        "top left": luma[:top, :left],
        "top right": luma[:top, left:],
        "bottom left": luma[top:, :left],
        "bottom right": luma[top:, left:],
    }
    return sorted(quarters, key=lambda name: np.mean(quarters[name]))


@pytest.mark.parametrize("kind", [{"x264-params": "tff=1"}, {"x264-params": "bff=1"}])
def test_transcode__interlaced__keeps_its_lines(kind, transcode):
    """There is no deinterlacing: as many frames come out, with their times."""
    source = encoded(frames_at(range(0, 600, 40), 320, 192), **kind)
    with av.open(io.BytesIO(source)) as opened:
        assert next(opened.decode(video=0)).interlaced_frame
    _, (rendition,) = transcode(source)
    assert frame_times(rendition) == frame_times(source)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le"])
def test_transcode__ten_bit__looks_the_same_in_eight(pix_fmt, transcode):
    profile = a_profile(width=320, height=180, bitrate=4_000_000)
    _, (deep,) = transcode(a_segment(0.3, pix_fmt=pix_fmt, audio=False), profile)
    _, (plain,) = transcode(a_segment(0.3, audio=False), profile)
    assert np.mean(np.abs(first_luma(deep) - first_luma(plain))) < 6


def test_transcode__pixel_format_changes_midway__goes_on(transcode):
    plain, deep = a_segment(0.5, audio=False), a_segment(0.5, audio=False, pix_fmt="yuv420p10le")
    outcome, (rendition,) = transcode(plain + remuxed(deep, shift_s=0.5))
    assert outcome.decoded_pixels == 320 * 180 * 30
    assert inspect(rendition).frames == 30


def test_transcode__rotation_by_size_midway__both_ways(transcode):
    landscape, portrait = a_segment(0.4, audio=False), a_segment(0.4, audio=False, width=180, height=320)
    source = landscape + remuxed(portrait, shift_s=0.4) + remuxed(landscape, shift_s=0.8)
    outcome, (ts, mp4) = transcode(source, a_profile(), a_profile(container=Container.MP4))
    assert outcome.decoded_pixels == 320 * 180 * 36
    with av.open(io.BytesIO(ts)) as opened:
        sizes = [(f.width, f.height) for f in opened.decode(video=0)]
    assert [size for n, size in enumerate(sizes) if not n or size != sizes[n - 1]] == [
        (256, 144),
        (146, 260),
        (256, 144),
    ]
    assert len(key_times(ts)) == 3
    assert inspect(mp4).frames == 36


def test_transcode__sound_first__waits_for_the_video(transcode):
    late = remuxed(a_segment(key_every_s=0.5), keep=late_video(0.5))
    _, (rendition,) = transcode(late)
    with av.open(io.BytesIO(rendition)) as opened:
        assert [s.type for s in opened.streams] == ["video", "audio"]
    assert audio_payload(rendition) == audio_payload(late)
    assert frame_times(rendition) == frame_times(late)


def late_video(after_s):
    start = []

    def keep(_, packet):
        start.append(packet.dts * packet.time_base)
        return packet.stream.type == "audio" or packet.dts * packet.time_base >= start[0] + Fraction(after_s)

    return keep


def test_transcode__timestamps_wrap__run_on(segment, transcode):
    """90 kHz in 33 bits start again every 26.5 hours."""
    near_the_end = (1 << 33) / 90_000 - 0.5
    source = remuxed(segment, shift_s=near_the_end - float(frame_times(segment)[0]), mpegts_copyts="1")
    times = frame_times(source)
    _, (rendition, mp4) = transcode(source, a_profile(), a_profile(container=Container.MP4))
    assert times[0] < 0 < times[-1]
    assert frame_times(rendition) == times
    assert frame_times(mp4) == [at + Fraction(1 << 33, 90_000) for at in times]


def test_transcode__some_timestamps_missing__follow_the_others(segment, transcode):
    source = with_video_pts(segment, lambda number, pts: None if number % 3 == 1 else pts)
    _, (rendition,) = transcode(source)
    times = frame_times(rendition)
    assert len(times) == 30
    assert times == sorted(set(times))
    assert float(times[-1] - times[0]) == pytest.approx(29 / 30, abs=0.05)


def test_transcode__timestamps_run_backwards__go_on_by_a_tick(segment, transcode):
    later = remuxed(segment, shift_s=10)
    assert frame_times(with_video_pts(later, lambda _, pts: pts)) == frame_times(later)
    source = with_video_pts(later, lambda number, pts: pts - 45_000 if 10 <= number < 15 else pts)
    _, (rendition,) = transcode(source)
    times = frame_times(rendition)
    assert len(times) == 30
    assert times == sorted(set(times))


def test_transcode__all_at_the_same_time__stay_in_order(segment, transcode):
    start = round(frame_times(segment)[0] * 90_000)
    _, (rendition,) = transcode(with_video_pts(segment, lambda _number, _pts: start))
    times = frame_times(rendition)
    assert times == sorted(set(times))
    assert len(times) == 30


@pytest.mark.parametrize("frames", [2, 3])
def test_transcode__b_frames__keep_order_and_times(frames, transcode):
    source = encoded(frames_at(range(0, 1000, 40)), bf=str(frames), b_strategy="0", sc_threshold="0")
    with av.open(io.BytesIO(source)) as opened:
        assert any(p.pts != p.dts for p in opened.demux(video=0) if p.size)
    _, (rendition,) = transcode(source)
    assert frame_times(rendition) == frame_times(source)


@pytest.mark.parametrize("container", Container)
def test_transcode__variable_rate__passes_through(container, transcode):
    at = [0, 20, 100, 133, 250, 251, 400, 900]
    source = encoded(frames_at(at), container="matroska")
    _, (rendition,) = transcode(source, a_profile(container=container, gop_ms=300))
    times = [float(t) for t in frame_times(rendition)]
    assert [t - times[0] for t in times] == pytest.approx([t / 1000 for t in at], abs=1e-4)
    keys = key_times(rendition)
    assert [k - keys[0] for k in keys] == pytest.approx([0, 0.4, 0.9], abs=1e-4)


def test_transcode__variable_rate__becomes_constant(transcode):
    source = encoded(frames_at([0, 20, 100, 133, 250, 251, 400, 967]), container="matroska")
    _, (rendition,) = transcode(source, a_profile(fps=30))
    times = frame_times(rendition)
    assert {round(b - a, 3) for a, b in pairwise(times)} <= {Fraction(33, 1000), Fraction(34, 1000)}
    assert abs(len(times) - 30) <= 1


@pytest.mark.parametrize(("width", "height"), [(322, 182), (318, 178), (160, 90), (146, 50), (1000, 52), (52, 1000)])
def test_transcode__odd_size__becomes_even(width, height, transcode):
    _, (rendition,) = transcode(
        a_segment(0.2, width=width, height=height, audio=False), a_profile(width=255, height=143)
    )
    info = inspect(rendition)
    assert info.width % 2 == info.height % 2 == 0
    assert (info.width >= info.height) == (width >= height)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".flv", ".mov"])
def test_transcode__other_containers__are_read(suffix, transcode):
    source = a_clip(0.5, suffix=suffix)
    _, (rendition,) = transcode(source)
    assert inspect(rendition).frames == 15
    assert inspect(rendition).has_audio


@pytest.mark.parametrize("fps", [0, 1, 30, 60])
@pytest.mark.parametrize("container", Container)
def test_transcode__one_frame__is_a_rendition(fps, container, transcode):
    _, (rendition,) = transcode(encoded(frames_at([40])), a_profile(fps=fps, container=container))
    assert inspect(rendition).frames >= 1


def test_transcode__two_sounds__the_first_is_kept(segment, transcode):
    source = remuxed(segment, audio=2)
    with av.open(io.BytesIO(source)) as opened:
        assert len(opened.streams.audio) == 2
    _, (rendition,) = transcode(source)
    with av.open(io.BytesIO(rendition)) as opened:
        assert [s.type for s in opened.streams] == ["video", "audio"]
    assert audio_payload(rendition) == audio_payload(segment)


def test_transcode__data_stream__is_left_out(segment, transcode):
    source = remuxed(segment, data=b"\x06\x0e\x2b\x34" * 8)
    with av.open(io.BytesIO(source)) as opened:
        assert "data" in {s.type for s in opened.streams}
    _, (rendition,) = transcode(source)
    with av.open(io.BytesIO(rendition)) as opened:
        assert [s.type for s in opened.streams] == ["video", "audio"]


@pytest.mark.parametrize("bounds", [(0, 100), (500, 600), (900, 5000)])
def test_transcode__clip_of_a_rate_conversion__counts_what_it_writes(segment, bounds, transcode):
    start, end = bounds
    _, (rendition,) = transcode(segment, a_profile(fps=60), clip_from_ms=start, clip_to_ms=end)
    assert abs(inspect(rendition).frames - 6) <= 2
    assert float(frame_times(rendition)[0] - frame_times(segment)[0]) == pytest.approx(start / 1000, abs=0.03)


def test_transcode__same_segment_twice__gives_the_same_bytes(segment, transcode):
    profiles = (a_profile(), a_profile(fps=15, container=Container.MP4))
    assert transcode(segment, *profiles) == transcode(segment, *profiles)


@pytest.mark.parametrize("container", Container)
@pytest.mark.parametrize("changes", [{}, {"fps": 60}, {"gop_ms": 250}, {"gop_ms": -1}])
def test_transcode__decoding_times__rise_and_precede_presentation(segment, container, changes, transcode):
    _, (rendition,) = transcode(segment, a_profile(container=container, **changes))
    with av.open(io.BytesIO(rendition)) as opened:
        times = [(p.dts, p.pts) for p in opened.demux(video=0) if p.size]
    assert all(dts <= pts for dts, pts in times)
    assert all(first < second for (first, _), (second, _) in pairwise(times))


def test_transcode__sound_appears_midway__is_left_out(transcode):
    silent, loud = a_segment(0.5, audio=False), a_segment(0.5)
    outcome, (rendition,) = transcode(silent + remuxed(loud, shift_s=0.5))
    assert outcome.decoded_pixels == 320 * 180 * 30
    assert inspect(rendition).frames == 30


@pytest.mark.parametrize("container", Container)
def test_transcode__sound_changes_its_codec_midway__pictures_go_on(container, transcode):
    first, then = a_segment(0.5), with_sound(a_segment(0.5), "libmp3lame", 44_100)
    outcome, (rendition,) = transcode(first + remuxed(then, shift_s=0.5), a_profile(container=container))
    assert outcome.decoded_pixels == 320 * 180 * 30
    assert inspect(rendition).frames == 30


@pytest.mark.parametrize("container", Container)
@pytest.mark.parametrize("codec", ["libmp3lame", "mp2", "ac3"])
def test_transcode__sound_of_another_codec__is_copied_too(codec, container, transcode):
    source = with_sound(a_segment(0.5), codec, 48_000)
    _, (rendition,) = transcode(source, a_profile(container=container))
    with av.open(io.BytesIO(source)) as before, av.open(io.BytesIO(rendition)) as after:
        kept = [[bytes(p) for p in opened.demux(audio=0) if p.size] for opened in (before, after)]
    assert kept[0] == kept[1]


def with_sound(segment, codec, rate):
    """The same pictures with silence in another codec."""
    out = io.BytesIO()
    with av.open(io.BytesIO(segment)) as source, av.open(out, "w", format="mpegts") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream(codec, rate=rate, layout="stereo")
        start, end = None, None
        for packet in source.demux(video=0):
            if packet.size:
                start = packet.pts * packet.time_base if start is None else start
                end = packet.pts * packet.time_base
                packet.stream = video
                target.mux_one(packet)
        size = sound.codec_context.frame_size or 1152
        for number in range(int((end - start) * rate / size)):
            frame = av.AudioFrame(format=sound.codec_context.format.name, layout="stereo", samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(start * rate) + number * size
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    return out.getvalue()


def test_transcode__turned_pictures__leave_no_frame_behind(transcode):
    """A frame of a large picture is megabytes, and nobody collects cycles while a job runs."""
    source = encoded(frames_at(range(0, 500, 33)), container="mp4", matrix=(-ONE, 0, 0, ONE))
    gc.collect()
    gc.disable()
    try:
        transcode(source)
        assert not [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]
    finally:
        gc.enable()
