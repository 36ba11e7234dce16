import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.wire.ai_events import EventReader, encode_event, has_choice, is_last
from livefleet.wire.multipart import BadUpload
from tests.builders.wire import a_chunk

pytestmark = pytest.mark.unit


def read(body: bytes, piece: int = 5) -> list:
    reader = EventReader()
    return [chunk for start in range(0, len(body), piece) for chunk in reader.feed(body[start : start + piece])]


def test_encode__is_what_a_go_worker_sends():
    assert encode_event({"choices": [{"index": 0, "delta": {"content": "a\nb é"}, "finish_reason": ""}]}) == (
        b'data: {"choices":[{"index":0,"delta":{"content":"a\\nb \\u00e9"},"finish_reason":""}]}\n\n'
    )


@given(st.lists(st.text(max_size=30), max_size=5), st.integers(1, 40))
def test_chunks__there_and_back_in_any_pieces(texts, piece):
    chunks = [a_chunk(text) for text in texts]
    assert read(b"".join(map(encode_event, chunks)), piece) == chunks


def test_read__comments_empty_lines_and_carriage_returns__are_read_over():
    data = json.dumps(a_chunk("x")).encode()
    assert read(b": hello\r\n\r\nevent: message\r\ndata:" + data + b"\r\n\r\nid: 3\n") == [a_chunk("x")]


def test_read__line_without_its_end__is_no_chunk_yet():
    reader = EventReader()
    whole = encode_event(a_chunk("x"))
    assert list(reader.feed(whole[:-2])) == []
    assert list(reader.feed(whole[-2:])) == [a_chunk("x")]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"data: {\n", "an event that is no chunk"),
        (b"data: []\n", "an event that is no chunk"),
        (b"data: [DONE]\n", "an event that is no chunk"),
        (b'data: {"choices":NaN}\n', "an event that is no chunk"),
        (b"data: \xff\n", "an event that is no chunk"),
        (b'data: {"error":"out of words"}\n', 'a chunk without `choices`: {"error":"out of words"}'),
        (b'data: {"choices":[]}\n', "a chunk without `choices`"),
        (b'data: {"choices":["x"]}\n', "a chunk without `choices`"),
        (b"data: " + b"x" * 1_000_001, "an event of more than 1000000 bytes"),
        (b"x" * 1_000_001 + b"\n", "an event of more than 1000000 bytes"),
    ],
)  # fmt: skip
def test_read__what_go_peers_would_fall_over__says_how(body, fault):
    with pytest.raises(BadUpload) as caught:
        read(body, 400_000)
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    ("chunk", "chosen", "last"),
    [
        (a_chunk("x"), True, False),
        (a_chunk("", finish="stop"), True, True),
        (a_chunk("", finish="length"), True, True),
        ({"choices": [{"finish_reason": None}]}, True, False),
        ({"choices": [], "usage": {"total_tokens": 3}}, False, False),
        ({"usage": {}}, False, False),
        ({"choices": "stop"}, False, False),
    ],
)
def test_chunk__last_is_the_one_with_a_reason(chunk, chosen, last):
    assert (has_choice(chunk), is_last(chunk)) == (chosen, last)
