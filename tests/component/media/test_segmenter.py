import pytest

from livefleet.media import TranscodeError
from livefleet.media.inspection import inspect
from livefleet.media.sample import make_clip
from livefleet.media.segmenter import split
from tests.builders.media import SMALL, a_clip, a_segment, audio_payload, frame_times, key_times, without_key_frames

pytestmark = pytest.mark.component


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_split__clip__cuts_on_key_frames_and_loses_nothing(suffix):
    clip = a_clip(3, suffix=suffix)
    segments = split(clip, 1)
    assert [s.sequence for s in segments] == [0, 1, 2]
    assert [s.duration_ms for s in segments] == pytest.approx([1000] * 3, abs=2)
    times = [frame_times(s.data) for s in segments]
    assert sum(len(t) for t in times) == len(frame_times(clip)) == 90
    for segment, here in zip(segments, times, strict=True):
        assert key_times(segment.data)[0] == pytest.approx(float(here[0]), abs=1e-4)
    assert [float(t) for part in times for t in part] == sorted(float(t) for part in times for t in part)
    assert b"".join(audio_payload(s.data) for s in segments) == audio_payload(clip)


def test_split__uneven_key_frames__segments_last_at_least_as_long_as_wanted():
    segments = split(a_clip(3, key_every_s=0.7), 1)
    assert [s.duration_ms for s in segments] == pytest.approx([1400, 1400, 200], abs=2)


def test_split__file__same_as_its_bytes(tmp_path):
    path = make_clip(tmp_path / "clip.mp4", 1, **SMALL)
    assert split(path, 1) == split(path.read_bytes(), 1)


@pytest.mark.parametrize("source", [b"", b"junk" * 1000])
def test_split__no_media__is_refused(source):
    with pytest.raises(TranscodeError) as refused:
        split(source)
    assert refused.value.text == "TranscoderInvalidVideo"


def test_split__no_key_frame__is_refused():
    with pytest.raises(TranscodeError) as refused:
        split(without_key_frames(a_segment()))
    assert refused.value.text == "No keyframes in input"


def test_make_clip__twice__gives_the_same_bytes(tmp_path):
    first, again = (make_clip(tmp_path / f"{n}.ts", 1, **SMALL).read_bytes() for n in "ab")
    assert first == again


def test_inspect__clip__counts_what_was_made(tmp_path):
    info = inspect(make_clip(tmp_path / "clip.mp4", 2, width=320, height=180, fps=25))
    assert (info.width, info.height, info.frames, info.pixels) == (320, 180, 50, 320 * 180 * 50)
    assert (info.duration_s, info.has_audio, info.codec) == (pytest.approx(2), True, "h264")
