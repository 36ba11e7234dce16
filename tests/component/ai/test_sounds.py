"""Ears and voices in real runner processes."""

import asyncio
import io
import time
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai import AiJob, AiPool, AiResult, Placement, RunnerRefused, kind_of, parse_job
from livefleet.spec import Pipeline
from tests.builders.ai import a_placement
from tests.builders.real_weights import whisper_tiny_en
from tests.builders.sounds import a_sound
from tests.builders.speech import SENTENCE, said, said_twice, words
from tests.builders.whisper_weights import write_as_transformers

pytestmark = pytest.mark.component

HEARING, SPEAKING = Pipeline.AUDIO_TO_TEXT, Pipeline.TEXT_TO_SPEECH


def placed(pipeline: Pipeline, model_id: str, source: Path, **fields: Any) -> Placement:
    return a_placement(pipeline=pipeline, model_id=model_id, source=str(source), **fields)


def hear(model_id: str, upload: bytes, **fields: str) -> AiJob:
    return parse_job(kind_of(HEARING), {"model_id": model_id} | fields, upload)


def speak(model_id: str, text: str) -> AiJob:
    return parse_job(kind_of(SPEAKING), {"model_id": model_id, "text": text})


def wav_of(result: AiResult) -> bytes:
    media = result.media[result.body["audio"]["url"]]
    assert media.content_type == "audio/wav"
    return media.data


def length_and_rate(wav: bytes) -> tuple[float, int]:
    with wave.open(io.BytesIO(wav)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return sound.getnframes() / sound.getframerate(), sound.getframerate()


async def warm(pool: AiPool, count: int) -> None:
    async with asyncio.timeout(200):
        while len(pool.advertised()) < count:
            await asyncio.sleep(0.05)


async def test_sounds__every_architecture__answers_in_the_references_shape(a_pool, tiny_models: Path, tmp_path: Path):
    write_as_transformers(whisper_tiny_en(), tmp_path / "tiny.en")
    placements = (
        placed(HEARING, "transformers", tmp_path / "tiny.en", optimization={"BACKEND": "transformers"}),
        placed(HEARING, "converted", tiny_models / "faster-whisper"),
        placed(SPEAKING, "vits", tiny_models / "text-to-speech"),
        placed(SPEAKING, "speecht5", tiny_models / "speecht5"),
    )
    async with a_pool(*placements) as pool:
        await warm(pool, len(placements))
        await check_hearing_senseless_words(pool)
        await check_hearing_speech(pool)
        await check_bad_uploads(pool)
        await check_cancelling(pool)
        for model_id in ("vits", "speecht5"):
            long = wav_of(await pool.run(speak(model_id, "Hello there. And so on, and so on!")))
            short = wav_of(await pool.run(speak(model_id, "Hello")))
            assert length_and_rate(long)[0] > length_and_rate(short)[0] > 0
            assert length_and_rate(long)[1] == 16_000
        with pytest.raises(RunnerRefused, match=r"^text-to-speech container returned 400: The model has no sound for"):
            await pool.run(speak("vits", "你好"))


async def check_hearing_senseless_words(pool: AiPool) -> None:
    """Random weights of faster-whisper hear something else each time, or nothing."""
    short, long = a_sound("mp3", seconds=4), a_sound("ogg-opus", seconds=40)
    assert (await heard(pool, hear("converted", short, return_timestamps="false")))["chunks"] == []
    for job in (hear("converted", short, return_timestamps="word"), hear("converted", long)):
        for chunk in (await heard(pool, job))["chunks"]:
            start, end = chunk["timestamp"]
            assert (0 <= start <= end, type(chunk["text"])) == (True, str)


async def check_hearing_speech(pool: AiPool) -> None:
    """Real weights by transformers; the second time lies beyond the model's window of 30 s."""
    once = await asyncio.to_thread(said)
    twice = said_twice(once, pause_s=28)
    plain = await heard(pool, hear("transformers", once, return_timestamps="false"))
    assert (words(plain["text"]), plain["chunks"]) == (words(SENTENCE), [])
    by_word = (await heard(pool, hear("transformers", once, return_timestamps="word")))["chunks"]
    assert [words(chunk["text"])[0] for chunk in by_word] == words(SENTENCE)
    assert by_word[-1]["timestamp"][1] == pytest.approx(3.4, abs=0.6)
    by_sentence = (await heard(pool, hear("transformers", twice)))["chunks"]
    assert words(" ".join(chunk["text"] for chunk in by_sentence)) == 2 * words(SENTENCE)
    assert by_sentence[-1]["timestamp"][0] >= 29


async def heard(pool: AiPool, job: AiJob) -> Mapping[str, Any]:
    body = (await pool.run(job)).body
    assert (body.keys(), type(body["text"])) == ({"text", "chunks"}, str)
    return body


async def check_bad_uploads(pool: AiPool) -> None:
    """Headers are in order, but what they promise is not there."""
    flac = a_sound("flac", seconds=3)
    broken = flac[:42] + bytes(len(flac) - 42)
    for told, answer in (
        ('{"duration":"3"}', r"415: Unsupported audio format or malformed file\."),
        ("{}", "400: Unable to calculate duration of file"),
    ):
        with pytest.raises(RunnerRefused, match=f"^audio-to-text container returned {answer}$"):
            await pool.run(hear("transformers", broken, metadata=told))


async def check_cancelling(pool: AiPool) -> None:
    """Twenty minutes of sound keep a model busy for long, but only for as long as somebody waits."""
    long = a_sound("mp3-without-tag", seconds=2) * 600
    given_up = asyncio.ensure_future(pool.run(hear("transformers", long)))
    await asyncio.sleep(5)  # decoded by then
    assert not given_up.done()
    given_up.cancel()
    await asyncio.wait({given_up})
    start = time.monotonic()
    await pool.run(hear("transformers", a_sound(seconds=2)))
    assert time.monotonic() - start < 10
