import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import AiJob, AiResult, Media
from livefleet.spec import Pipeline
from livefleet.wire.ai_results import AiResultReader, encode_result
from livefleet.wire.multipart import BadUpload
from tests.builders.ai import a_job, images, pngs, seeds

pytestmark = pytest.mark.unit

BOUNDARY = "00112233445566778899"
TYPE = f"multipart/mixed; boundary={BOUNDARY}"


def names():
    numbers = iter(range(100))
    return lambda: f"{next(numbers):08x}"


def read(body: bytes, count: int, piece: int = 7) -> AiResult:
    reader = AiResultReader(TYPE, a_job(num_images_per_prompt=count))
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    return reader.result()


def a_body(*parts: tuple[str, str]) -> bytes:
    """(headers, content) each."""
    return "".join(f"--{BOUNDARY}\r\n{head}\r\n\r\n{content}\r\n" for head, content in parts).encode() + (
        f"--{BOUNDARY}--\r\n".encode()
    )


def told(*urls: str, **fields) -> tuple[str, str]:
    entries = [{"url": url, "seed": 5, "nsfw": True} | fields for url in urls]
    return ("Content-Type: application/json", json.dumps({"images": entries}))


def a_file(name: str, content: str = "png") -> tuple[str, str]:
    return (f"Content-Disposition: attachment; filename={name}\r\nContent-Type: image/png", content)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(-(2**63), 2**63 - 9), st.integers(1, 100))
def test_result__there_and_back_in_any_pieces__is_the_same(contents, seed, piece):
    result = images(*contents, first_seed=seed)
    body = b"".join(encode_result(result, BOUNDARY, names()))
    assert read(body, len(contents), piece).with_data_urls() == result.with_data_urls()


def test_encode__is_what_a_go_worker_sends():
    body = b"".join(encode_result(images(b"one", first_seed=1), BOUNDARY, names()))
    assert (
        body
        == (
            f"--{BOUNDARY}\r\nContent-Disposition: attachment; filename=00000000.png\r\nContent-Length: 3\r\n"
            f"Content-Type: image/png\r\n\r\none\r\n"
            f"--{BOUNDARY}\r\nContent-Length: 57\r\nContent-Type: application/json\r\n\r\n"
            f'{{"images":[{{"nsfw":false,"seed":1,"url":"00000000.png"}}]}}\r\n--{BOUNDARY}--\r\n'
        ).encode()
    )


@pytest.mark.parametrize(
    ("pipeline", "result"),
    [
        (Pipeline.TEXT_TO_SPEECH, AiResult({"audio": {"url": "0"}}, {"0": Media(b"RIFF\r\n--", "audio/wav")})),
        (Pipeline.IMAGE_TO_VIDEO, AiResult({"images": [{"url": "0", "seed": 1, "nsfw": False}]},
                                           {"0": Media(b"\0\0ftyp", "video/mp4")})),
        (Pipeline.AUDIO_TO_TEXT, AiResult({"text": "hé", "chunks": [{"timestamp": [0.0, 1.5], "text": "hé"}]})),
        (Pipeline.SEGMENT_ANYTHING_2, AiResult({"masks": "[[1]]", "scores": "[0.5]", "logits": "[[1]]"})),
        (Pipeline.LLM, AiResult({"choices": [{"index": 0, "message": {"content": "a url: x"}}], "usage": {}})),
        (Pipeline.IMAGE_TO_TEXT, AiResult({"text": "--" + BOUNDARY})),
    ],
)  # fmt: skip
def test_result__of_any_pipeline__there_and_back(pipeline, result):
    job = AiJob(pipeline, "m", {}, units=1, media=len(result.media))
    body = b"".join(encode_result(result, BOUNDARY, names()))
    reader = AiResultReader(TYPE, job)
    reader.feed(body)
    assert reader.result().with_data_urls() == result.with_data_urls()
    ending = {Pipeline.TEXT_TO_SPEECH: b"wav", Pipeline.IMAGE_TO_VIDEO: b"mp4"}.get(pipeline)
    assert (b"filename=" in body) is (ending is not None)
    assert ending is None or b"attachment; filename=00000000.%s\r\n" % ending in body


def test_reader__more_than_is_taken__stops_as_soon_as_it_shows():
    with pytest.raises(BadUpload, match="a result of more than 100 bytes"):
        AiResultReader(TYPE, a_job(), announced=101, limit=100)
    reader = AiResultReader(TYPE, a_job(), announced=100, limit=100)
    reader.feed(b"--")
    with pytest.raises(BadUpload, match="a result of more than 100 bytes"):
        reader.feed(b"-" * 99)


def test_read__json_first_and_unknown_parts__are_fine():
    body = a_body(told("a.png"), a_file("a.png"), ("X-Other: 1", "read over"))
    with pytest.raises(BadUpload, match="more than 2 parts"):
        read(body, 1)
    body = a_body(told("a.png"), a_file('"a.png"', "content"))
    found = read(body, 1)
    assert (pngs(found), seeds(found), found.body["images"][0]["nsfw"]) == ([b"content"], [5], True)


@pytest.mark.parametrize(
    ("body", "count", "fault"),
    [
        (a_body(a_file("a.png"), told("a.png"))[:-12], 1, "unexpected end"),
        (a_body(a_file("a.png")), 1, "no JSON part"),
        (a_body(a_file("a.png"), told("b.png")), 1, "no file for 'b.png'"),
        (a_body(a_file("a.png"), told("a.png", "a.png")), 1, "2 file.s., 1 were asked for"),
        (a_body(a_file("a.png"), told("a.png")), 2, "1 file.s., 2 were asked for"),
        (a_body(("Content-Type: application/json", "{")), 1, "the JSON part: "),
        (a_body(("Content-Type: application/json", '{"images":[]}')), 1, "0 file.s., 1 were asked for"),
        (a_body(("Content-Type: application/json", '{"images":[{"url":3}]}')), 1, "0 file.s., 1 were asked for"),
        (a_body(a_file("a"), a_file("b"), a_file("c")), 1, "more than 2 parts"),
        (b"no multipart at all", 1, "boundary"),
    ],
)
def test_read__broken__says_how(body, count, fault):
    with pytest.raises(BadUpload, match=fault):
        read(body, count)


def test_reader__no_boundary__is_refused():
    with pytest.raises(BadUpload, match="boundary"):
        AiResultReader("multipart/mixed", a_job())
