import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import AiJob, BadRequest, kind_of, parse_job
from livefleet.ai.errors import Malformed
from livefleet.spec import Pipeline
from tests.builders.sounds import a_sound

pytestmark = pytest.mark.unit

HEARING = kind_of(Pipeline.AUDIO_TO_TEXT)
SPEAKING = kind_of(Pipeline.TEXT_TO_SPEECH)


def hear(upload: bytes = b"", **fields: object) -> AiJob:
    return parse_job(HEARING, {"model_id": "a/b"} | fields, upload or a_sound(seconds=3.9))


def speak(**fields: object) -> AiJob:
    return parse_job(SPEAKING, {"model_id": "a/b"} | fields)


def test_audio__seconds_and_a_part_of_one__bills_the_whole_ones():
    job = hear()
    assert (job.units, job.media, job.streams) == (3000, None, False)
    assert job.fields == {"model_id": "a/b", "return_timestamps": "true", "metadata": "{}"}


@pytest.mark.parametrize("upload", [b"text where audio is due", a_sound(seconds=0.9)], ids=["text", "under-a-second"])
def test_audio__no_whole_second__is_the_references_400(upload: bytes):
    with pytest.raises(Malformed, match=r"^Unable to calculate duration$"):
        hear(upload)


def test_audio__longer_than_we_take__is_refused_before_any_work():
    data = bytearray(a_sound("flac", seconds=1))
    data[18:26] = (16_000 << 44 | 15 << 36 | 16_000 * 8_000).to_bytes(8, "big")
    with pytest.raises(BadRequest, match=r"returned 400: 8000 s of audio; at most 7200 s are taken"):
        hear(bytes(data))


def test_audio__no_file__is_refused():
    with pytest.raises(BadRequest, match="audio: Field required"):
        parse_job(HEARING, {"model_id": "a/b"}, None)


@pytest.mark.parametrize("name", ["true", "1", "sentence", "word", "false", "0", "TRUE", "Word"])
def test_audio__timestamps_by_the_references_names__are_taken(name: str):
    assert hear(return_timestamps=name).fields["return_timestamps"] == name


@pytest.mark.parametrize("name", ["", "char", "yes", "2"])
def test_audio__other_timestamps__are_refused(name: str):
    with pytest.raises(BadRequest, match=r"`return_timestamps` has to be one of `false`, `0`"):
        hear(return_timestamps=name)


@pytest.mark.parametrize("metadata", ['{"duration":"3"}', '{"duration":3.5}', '{"duration":null,"x":[]}', "", "{}"])
def test_audio__metadata_as_gateways_write_it__is_taken(metadata: str):
    assert hear(metadata=metadata).units == 3000


@pytest.mark.parametrize("metadata", ["{", "[]", "3", '{"duration":"long"}', '{"duration":[]}', "[" * 8000])
def test_audio__other_metadata__is_the_references_400(metadata: str):
    with pytest.raises(BadRequest, match=r"returned 400: Unable to calculate duration of file$"):
        hear(metadata=metadata)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200).filter(str.strip))
def test_speech__any_text__bills_its_unicode_characters(text: str):
    job = speak(text=text)
    assert job.units == 1000 * len(json.loads(json.dumps(text)))
    assert job.media == 1


def test_speech__no_description__is_the_references():
    assert speak(text="hi").fields["description"].startswith("A male speaker delivers a slightly expressive")


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": " \n\t"}, {"text": None}])
def test_speech__nothing_to_say__is_the_references_400(fields: dict[str, object]):
    with pytest.raises(BadRequest, match=r"^text-to-speech container returned 400: Text input must be provided.$"):
        speak(**fields)


@pytest.mark.parametrize("fields", [{"text": "a" * 10_001}, {"text": "a", "description": "b" * 1001}])
def test_speech__longer_than_the_reference_takes__is_refused(fields: dict[str, object]):
    with pytest.raises(BadRequest, match="should have at most"):
        speak(**fields)


def test_speech__as_long_as_the_reference_takes__is_taken():
    assert speak(text="ä" * 10_000).units == 10_000_000
