import io
from fractions import Fraction
from pathlib import Path

import av
import pytest

import livefleet
from livefleet.media import Container, H264Profile, TranscodeError, VideoCodec, hash_path
from livefleet.media.inspection import inspect
from livefleet.media.transcode import transcode_to_files
from tests.builders.media import (
    a_clip,
    a_job,
    a_profile,
    a_segment,
    audio_payload,
    changing_size,
    frame_times,
    key_times,
    only_sound,
    without_key_frames,
)

pytestmark = pytest.mark.component


@pytest.fixture
def transcode(tmp_path):
    """Do a job in this process; the outcome and the renditions' bytes."""

    def run(job):
        outputs = [tmp_path / f"{index}" for index in range(len(job.profiles))]
        outcome = transcode_to_files(job, outputs)
        return outcome, [path.read_bytes() for path in outputs]

    return run


def refused_text(transcode, job):
    with pytest.raises(TranscodeError) as refused:
        transcode(job)
    return refused.value.text


def test_transcode__several_profiles__one_rendition_each_in_order(segment, transcode):
    profiles = (a_profile(), a_profile(width=320, height=180), a_profile(width=160, height=90))
    outcome, renditions = transcode(a_job(segment, *profiles))
    infos = [inspect(data) for data in renditions]
    assert [(i.width, i.height, i.frames) for i in infos] == [(256, 144, 30), (320, 180, 30), (160, 90, 30)]
    assert tuple(i.pixels for i in infos) == outcome.encoded_pixels
    assert outcome.decoded_pixels == 320 * 180 * 30
    assert all(i.has_audio and i.codec == "h264" for i in infos)


@pytest.mark.parametrize("container", Container)
def test_transcode__timestamps__survive(container, transcode):
    from livefleet.media.segmenter import split

    second = split(a_clip(2, suffix=".mp4"), 1)[1].data
    _, (rendition,) = transcode(a_job(second, a_profile(container=container)))
    wanted = frame_times(second)
    assert wanted[0] >= 1
    assert frame_times(rendition) == wanted


def test_transcode__source_that_starts_at_zero__keeps_its_timestamps(transcode):
    source = a_clip(suffix=".mp4", audio=False)
    assert frame_times(source)[0] == 0
    _, (rendition,) = transcode(a_job(source))
    assert frame_times(rendition) == pytest.approx(frame_times(source), abs=1e-4)


@pytest.mark.parametrize("container", Container)
def test_transcode__sound__is_copied(segment, container, transcode):
    _, (rendition,) = transcode(a_job(segment, a_profile(container=container)))
    assert audio_payload(rendition) == audio_payload(segment)
    with av.open(io.BytesIO(rendition)) as opened:
        assert [s.type for s in opened.streams] == ["video", "audio"]


def test_transcode__no_sound__is_fine(transcode):
    _, (rendition,) = transcode(a_job(a_segment(audio=False)))
    assert not inspect(rendition).has_audio


def test_transcode__first_frame__is_a_key_frame(segment, transcode):
    _, (rendition,) = transcode(a_job(segment))
    assert key_times(rendition)[0] == pytest.approx(float(frame_times(segment)[0]), abs=1e-4)


def test_transcode__mp4__has_its_index_in_front_and_names_us(segment, transcode):
    _, (rendition,) = transcode(a_job(segment, a_profile(container=Container.MP4)))
    assert rendition.index(b"moov") < rendition.index(b"mdat")
    with av.open(io.BytesIO(rendition)) as opened:
        assert opened.metadata["comment"] == f"Processed by Livepeer Transcoder {livefleet.__version__} (offchain)"


def test_transcode__ts__names_transcoder_and_orchestrator(segment, transcode):
    _, (rendition,) = transcode(a_job(segment, orchestrator_id="0xabc"))
    assert f"Livepeer Transcoder {livefleet.__version__} (0xabc)".encode() in rendition


@pytest.mark.parametrize(
    ("source", "expected"),
    [((180, 320), (146, 260)), ((322, 182), (256, 144)), ((300, 300), (256, 256)), ((500, 100), (256, 52))],
)
def test_transcode__shape_of_the_source__decides_the_size(source, expected, transcode):
    width, height = source
    outcome, (rendition,) = transcode(a_job(a_segment(0.5, width=width, height=height)))
    info = inspect(rendition)
    assert (info.width, info.height) == expected
    assert outcome.encoded_pixels == (info.pixels,)


@pytest.mark.parametrize(("fps", "den", "frames"), [(15, 1, 15), (60, 1, 60), (30_000, 1001, 30), (10, 0, 10)])
def test_transcode__other_rate__gives_as_many_frames(segment, fps, den, frames, transcode):
    outcome, (rendition,) = transcode(a_job(segment, a_profile(fps=fps, fps_den=den)))
    info = inspect(rendition)
    assert abs(info.frames - frames) <= 1
    assert info.duration_s == pytest.approx(1, abs=0.1)
    assert outcome.encoded_pixels == (info.pixels,)


def test_transcode__gop_by_time__forces_key_frames(segment, transcode):
    _, (rendition,) = transcode(a_job(segment, a_profile(gop_ms=250)))
    keys = key_times(rendition)
    assert [round(at - keys[0], 2) for at in keys] == pytest.approx([0, 0.27, 0.5, 0.77], abs=0.01)


def test_transcode__gop_with_rate__spaces_key_frames(segment, transcode):
    _, (rendition,) = transcode(a_job(segment, a_profile(gop_ms=500, fps=30)))
    assert len(key_times(rendition)) == 2


def test_transcode__intra_only__has_key_frames_alone(segment, transcode):
    _, (rendition,) = transcode(a_job(segment, a_profile(gop_ms=-1)))
    assert len(key_times(rendition)) == 30


@pytest.mark.parametrize(
    ("profile", "name", "b_frames"),
    [
        (H264Profile.BASELINE, "Constrained Baseline", False),
        (H264Profile.MAIN, "Main", True),
        (H264Profile.HIGH, "High", True),
        (H264Profile.CONSTRAINED_HIGH, "High", False),
    ],
)
def test_transcode__h264_profile__is_in_the_stream(segment, profile, name, b_frames, transcode):
    _, (rendition,) = transcode(a_job(segment, a_profile(h264_profile=profile)))
    with av.open(io.BytesIO(rendition)) as opened:
        packets = [p for p in opened.demux(video=0) if p.size]
        assert opened.streams.video[0].profile == name
        assert any(p.pts != p.dts for p in packets) == b_frames


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "yuv444p10le"])
def test_transcode__other_pixel_format__becomes_8_bit_420(pix_fmt, transcode):
    _, (rendition,) = transcode(a_job(a_segment(0.3, pix_fmt=pix_fmt)))
    with av.open(io.BytesIO(rendition)) as opened:
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert inspect(rendition).frames == 9


def test_transcode__h265__both_ways(transcode):
    outcome, (hevc,) = transcode(a_job(a_segment(0.3), a_profile(codec=VideoCodec.H265)))
    assert (inspect(hevc).codec, inspect(hevc).pixels) == ("hevc", outcome.encoded_pixels[0])
    _, (back,) = transcode(a_job(hevc))
    assert inspect(back).frames == 9


def test_transcode__quality__is_smaller_when_worse(segment, transcode):
    _, (fine, coarse) = transcode(
        a_job(segment, a_profile(quality=20, bitrate=4_000_000), a_profile(quality=45, bitrate=4_000_000))
    )
    assert len(coarse) < len(fine)


def test_transcode__size_changes_midway__pixels_stay_exact(transcode):
    source = changing_size((320, 180), (180, 320))
    outcome, (ts, mp4) = transcode(a_job(source, a_profile(), a_profile(container=Container.MP4)))
    assert outcome.decoded_pixels == inspect(source).pixels
    assert outcome.encoded_pixels == (inspect(ts).pixels, inspect(mp4).pixels)
    with av.open(io.BytesIO(ts)) as opened:
        assert {(f.width, f.height) for f in opened.decode(video=0)} == {(256, 144), (146, 260)}


def test_transcode__clip__keeps_what_lies_within(segment, transcode):
    outcome, (rendition,) = transcode(a_job(segment, clip_from_ms=200, clip_to_ms=700))
    info, start = inspect(rendition), frame_times(segment)[0]
    assert info.frames == 15
    assert frame_times(rendition)[0] - start == pytest.approx(0.2, abs=0.001)
    assert outcome.decoded_pixels == 320 * 180 * 30
    assert 0 < len(audio_payload(rendition)) < len(audio_payload(segment))


def test_transcode__clip_beyond_the_end__is_refused(segment, transcode):
    job = a_job(segment, clip_from_ms=5000, clip_to_ms=6000)
    assert refused_text(transcode, job) == "TranscoderInvalidClipConfig"


@pytest.mark.parametrize(
    "source", [b"", b"\0", b"junk " * 5000, b"G" * 188 * 50], ids=["empty", "zero", "junk", "sync"]
)
def test_transcode__no_media__is_invalid_video(source, transcode):
    assert refused_text(transcode, a_job(source)) == "TranscoderInvalidVideo"


def test_transcode__sound_alone__is_invalid_video(segment, transcode):
    assert refused_text(transcode, a_job(only_sound(segment))) == "TranscoderInvalidVideo"


def test_transcode__no_key_frame__is_refused_by_name(segment, transcode):
    assert refused_text(transcode, a_job(without_key_frames(segment))) == "No keyframes in input"


def test_transcode__truncated__gives_what_is_there(segment, transcode):
    outcome, (rendition,) = transcode(a_job(segment[: len(segment) // 2]))
    info = inspect(rendition)
    assert 5 < info.frames < 30
    assert outcome.encoded_pixels == (info.pixels,)


def test_transcode__damaged_inside__gives_a_readable_rendition_or_a_refusal(segment, transcode):
    damaged = bytearray(segment)
    for at in range(len(damaged) // 3, len(damaged) - 400, 997):
        damaged[at] ^= 0xFF
    outcome, (rendition,) = transcode(a_job(bytes(damaged)))
    assert outcome.encoded_pixels == (inspect(rendition).pixels,)


def test_transcode__two_far_apart_frames__is_not_blown_up(transcode):
    """A rate conversion over a gap of an hour would make a hundred thousand frames."""
    out = io.BytesIO()
    with av.open(io.BytesIO(a_segment(audio=False))) as source, av.open(out, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            if number > 10:
                packet.pts += round(3600 / Fraction(packet.time_base))
                packet.dts += round(3600 / Fraction(packet.time_base))
            packet.stream = stream
            target.mux_one(packet)
    assert refused_text(transcode, a_job(out.getvalue(), a_profile(fps=30))) == "Encoded frames runaway"


def test_transcode__playlist__opens_nothing_else(tmp_path, transcode):
    (tmp_path / "secret.ts").write_bytes(a_segment(0.3))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n"
    assert refused_text(transcode, a_job(playlist.encode())) == "TranscoderInvalidVideo"


def test_transcode__cancelled__stops(segment, tmp_path):
    with pytest.raises(TranscodeError) as stopped:
        transcode_to_files(a_job(segment), [tmp_path / "out"], is_cancelled=lambda: True)
    assert stopped.value.text == "TranscoderStopped"


def test_transcode__hash_wanted__lies_beside_each_rendition(segment, tmp_path):
    outputs = [tmp_path / "0", tmp_path / "1"]
    transcode_to_files(a_job(segment, a_profile(), a_profile(fps=15), calc_perceptual_hash=True), outputs)
    hashes = [hash_path(path).read_bytes() for path in outputs]
    assert [int.from_bytes(h[16:21], "big") >> 7 & 0xFFFFFFFF for h in hashes] == [30, inspect(outputs[1]).frames]


def test_transcode__hash_not_wanted__there_is_none(segment, tmp_path):
    transcode_to_files(a_job(segment), [tmp_path / "0"])
    assert not hash_path(tmp_path / "0").exists()


def test_transcode__no_room_for_the_hash__rendition_is_delivered(segment, tmp_path):
    hash_path(tmp_path / "0").symlink_to("/dev/full")
    transcode_to_files(a_job(segment, calc_perceptual_hash=True), [tmp_path / "0"])
    assert inspect(tmp_path / "0").frames == 30
    assert not hash_path(tmp_path / "0").exists()


@pytest.mark.parametrize("container", Container)
def test_transcode__no_room_for_the_output__is_an_error(container, segment):
    with pytest.raises(TranscodeError) as failed:
        transcode_to_files(a_job(segment, a_profile(container=container), a_profile()), [Path("/dev/full")] * 2)
    assert failed.value.text == "No space left on device"
