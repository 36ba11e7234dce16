import io
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from livefleet.ai.errors import BadUpload, Cancelled
from livefleet.ai.pipelines.waveform import HEARING_RATE, wav_of, waveform_of
from livefleet.ai.stop import Stop
from tests.builders.sounds import SOUND_FORMATS, a_sound

pytestmark = pytest.mark.unit


def decoded(data: bytes, limit_s: float = 60) -> np.ndarray:
    return waveform_of(data, limit_s, Stop(float("inf")))


@pytest.mark.parametrize("form", SOUND_FORMATS)
def test_waveform__every_format__is_one_channel_at_whispers_rate(form: str):
    sound = decoded(a_sound(form, seconds=2, rate=44_100, channels=2))
    assert (sound.dtype, sound.ndim) == (np.float32, 1)
    assert sound.size / HEARING_RATE == pytest.approx(2, abs=0.12)
    tone = sound[HEARING_RATE // 2 : -HEARING_RATE // 2]
    assert np.abs(tone).max() == pytest.approx(0.3, abs=0.05)
    assert np.argmax(np.abs(np.fft.rfft(tone))) * HEARING_RATE / tone.size == pytest.approx(440, abs=2)


def test_waveform__broken_frames_between_good_ones__are_left_out():
    data = bytearray(a_sound("mp3", seconds=4))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    assert 3 < decoded(bytes(data)).size / HEARING_RATE < 4.1


@pytest.mark.parametrize("data", [b"", b"no sound at all" * 99, b"\x89PNG\r\n\x1a\n", a_sound("flac")[:42]])
def test_waveform__no_sound__is_the_references_415(data: bytes):
    with pytest.raises(BadUpload, match=r"^Unsupported audio format or malformed file\.$") as refusal:
        decoded(data)
    assert refusal.value.status == 415


def test_waveform__longer_than_its_headers_told__is_refused():
    with pytest.raises(BadUpload):
        decoded(a_sound("mp3", seconds=5), limit_s=4)


def test_waveform__list_of_files_of_the_machine__is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "secret.mp3").write_bytes(a_sound("mp3"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadUpload):
        decoded(b"ffconcat version 1.0\nfile 'secret.mp3'\n")


def test_waveform__description_of_a_network_stream__is_refused_at_once():
    start = time.monotonic()
    with pytest.raises(BadUpload):
        decoded(b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n")
    assert time.monotonic() - start < 5


def test_waveform__nobody_waits__ends_at_the_next_frame():
    stop = Stop(float("inf"))
    stop.cancel()
    with pytest.raises(Cancelled):
        waveform_of(a_sound(), 60, stop)


@given(
    arrays.arrays(np.float32, st.integers(0, 500), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([16_000, 44_100]),
)
def test_wav__any_samples__come_back_up_to_rounding(samples: np.ndarray, rate: int):
    with wave.open(io.BytesIO(wav_of(samples, rate))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (rate, 1, samples.size)
        found = np.frombuffer(sound.readframes(samples.size), "<i2") / 32767
    assert np.abs(found - samples).max(initial=0) <= 1 / 32767


def test_wav__beyond_full_scale_or_no_number__is_cut():
    with wave.open(io.BytesIO(wav_of(np.array([2, -2, np.nan, np.inf], np.float32), 8000))) as sound:
        assert np.frombuffer(sound.readframes(4), "<i2").tolist() == [32767, -32767, 0, 32767]
