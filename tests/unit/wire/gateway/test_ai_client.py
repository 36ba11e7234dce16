"""What the paying client writes, reckons and finds fault with."""

import json

import pytest

from livefleet.kernel import BadInput
from livefleet.wire.gateway.ai_checks import MediaReport, check_answer, check_chunks, describe
from livefleet.wire.gateway.ai_requests import PIPELINES, AiRequest
from tests.builders.ai_files import a_picture, mp4, png, wav
from tests.builders.wire import a_chunk

pytestmark = pytest.mark.unit

PNG_64 = describe("https://o/1.png", png(64, 64))


def image_answer(**entry):
    return {"images": [{"url": "u", "seed": 1, "nsfw": False} | entry]}


@pytest.mark.parametrize(
    ("request_", "units"),
    [
        (AiRequest("text-to-image", "m"), 512 * 512),
        (AiRequest("text-to-image", "m", {"width": 64, "height": 32, "num_images_per_prompt": 3}), 64 * 32 * 3),
        (AiRequest("image-to-image", "m", {"num_images_per_prompt": 2}, png(40, 30)), 2400),
        (AiRequest("image-to-video", "m", {}, png(40, 30)), 1024 * 576 * 25),
        (AiRequest("upscale", "m", {}, png(40, 30)), 1200),
        (AiRequest("audio-to-text", "m", {}, wav(2.9)), 2000),
        (AiRequest("segment-anything-2", "m", {}, png(40, 30)), 1200),
        (AiRequest("llm", "m"), 256),
        (AiRequest("llm", "m", {"max_tokens": 7}), 7),
        (AiRequest("image-to-text", "m", {}, png(40, 30)), 1200),
        (AiRequest("text-to-speech", "m", {"text": "Grüße"}), 5000),
    ],
)
def test_units__are_what_the_orchestrator_bills(request_, units):
    assert request_.units() == units


def test_manifest__is_the_capability_and_the_model():
    manifests = [AiRequest(pipeline, "a/b").manifest_id for pipeline in PIPELINES]
    assert manifests == [f"{number}_a/b" for number in (27, 28, 29, 30, 31, 32, 33, 34, 36)]


def test_units__of_a_file_that_is_none__are_refused():
    with pytest.raises(BadInput, match="audio: Unable to calculate duration"):
        AiRequest("audio-to-text", "m", {}, b"words").units()


def test_form__unknown_pipeline__names_those_that_there_are():
    with pytest.raises(BadInput, match="there are audio-to-text, image-to-image"):
        _ = AiRequest("text-to-poem", "m").form


def test_body__form__is_text_as_go_writes_it():
    fields = {"prompt": "x", "strength": 0.5, "safety_check": False, "seed": 7}
    body = AiRequest("image-to-image", "m", fields, b"file").body()
    assert body["data"] == {
        "model_id": "m", "num_images_per_prompt": "1", "prompt": "x", "strength": "0.500000", "safety_check": "false",
        "seed": "7",
    }  # fmt: skip
    assert body["files"]["image"][:2] == ("image", b"file")


def test_body__sound__tells_its_whole_seconds():
    assert AiRequest("audio-to-text", "m", {}, wav(2.9)).body()["data"]["metadata"] == '{"duration": "2"}'


def test_body__llm__names_the_model_its_own_way():
    assert AiRequest("llm", "m", {"messages": []}).body() == {"json": {"model": "m", "max_tokens": 256, "messages": []}}


@pytest.mark.parametrize(
    ("data", "content_type", "size"),
    [(a_picture(), "image/png", (64, 64)), (mp4(64, 32), "video/mp4", (64, 32)), (wav(), "audio/wav", (0, 0))],
)
def test_describe__files(data, content_type, size):
    found = describe("u", data)
    assert (found.content_type, (found.width, found.height)) == (content_type, size)


def test_describe__film__counts_its_frames():
    assert describe("u", mp4(frames=5)).frames == 5


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"\0\0\0\0ftyp and no film", b"RIFF", b"words"])
def test_describe__what_is_none__has_no_type(data):
    assert describe("u", data).content_type == ""


ONE_PNG = AiRequest("text-to-image", "m", {"width": 64, "height": 64})
FILM = AiRequest("image-to-video", "m", {"width": 64, "height": 32}, png())
WORDS = AiRequest("audio-to-text", "m")
MASKS = AiRequest("segment-anything-2", "m")


@pytest.mark.parametrize(
    ("request_", "answer", "media", "problem"),
    [
        (ONE_PNG, image_answer(), [PNG_64], None),
        (ONE_PNG, image_answer(), [PNG_64, PNG_64], "2 picture"),
        (ONE_PNG, image_answer(), [describe("u", png(64, 32))], "64x32 came back, not 64x64"),
        (ONE_PNG, image_answer(), [describe("u", b"words")], "no PNG"),
        (ONE_PNG, image_answer(nsfw=None), [PNG_64], "`nsfw`"),
        (ONE_PNG, {"pictures": []}, [PNG_64], "not the shape"),
        (
            AiRequest("text-to-image", "m", {"width": 64, "height": 64, "num_images_per_prompt": 2}),
            image_answer(), [PNG_64, PNG_64], "the same URL",
        ),
        (AiRequest("upscale", "m", {}, png(16, 16)), image_answer(), [PNG_64], None),
        (AiRequest("upscale", "m", {}, png(64, 64)), image_answer(), [PNG_64], "not 256x256"),
        (FILM, image_answer(), [describe("u", mp4())], None),
        (AiRequest("image-to-video", "m", {}, png()), image_answer(), [describe("u", mp4())], "64x32, not 1024x576"),
        (AiRequest("image-to-video", "m", {}, png()), image_answer(), [PNG_64], "one MP4"),
        (
            FILM,
            image_answer(), [describe("data:x", mp4())], "data URL",
        ),
        (WORDS, {"text": "a", "chunks": [{"timestamp": [0, 1.5], "text": "a"}]}, [], None),
        (WORDS, {"text": "a", "chunks": [{"timestamp": [2, 1], "text": "a"}]}, [], "in order"),
        (WORDS, {"text": "a"}, [], "not the shape"),
        (MASKS, {"masks": "[1,2]", "scores": "[0.9,0.1]", "logits": "[1,2]"}, [], None),
        (MASKS, {"masks": "[1,2]", "scores": "[0.1,0.9]", "logits": "[1,2]"}, [], "sorted"),
        (MASKS, {"masks": "[1]", "scores": "[0.1,0]", "logits": "[1,2]"}, [], "1 masks"),
        (MASKS, {"masks": [1], "scores": [1], "logits": [1]}, [], "not the shape"),
        (AiRequest("image-to-text", "m"), {"text": 7}, [], "no text"),
        (AiRequest("text-to-speech", "m"), {"audio": {"url": "u"}}, [describe("u", wav())], None),
        (AiRequest("text-to-speech", "m"), {"audio": {"url": "u"}}, [MediaReport("u", b"mp3")], "no WAV"),
    ],
)  # fmt: skip
def test_check__answer(request_, answer, media, problem):
    found = check_answer(request_, answer, media)
    assert (found == []) if problem is None else any(problem in text for text in found)


def test_check__chat():
    message = {"role": "assistant", "content": "yes"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    good = {"choices": [{"finish_reason": "stop", "message": message}], "usage": usage}
    chat = AiRequest("llm", "m")
    assert check_answer(chat, good, []) == []
    assert "do not add up" in check_answer(chat, good | {"usage": usage | {"total_tokens": 4}}, [])[0]
    assert "why it ends" in check_answer(chat, good | {"choices": [{"finish_reason": None, "message": message}]}, [])[0]


@pytest.mark.parametrize(
    ("chunks", "problem"),
    [
        ([a_chunk("a"), a_chunk(finish="stop")], None),
        ([], "no chunk came"),
        ([a_chunk("a")], "the last chunk"),
        ([a_chunk(finish="stop"), a_chunk("a")], "the last chunk"),
        ([{"choices": [], "usage": {}}, a_chunk(finish="stop")], "no choice"),
        ([{"choices": [{"finish_reason": "stop"}]}], "what was used"),
    ],
)
def test_check__chunks(chunks, problem):
    found = check_chunks(json.loads(json.dumps(chunks)))
    assert (found == []) if problem is None else any(problem in text for text in found)
