"""What an llm request may say, and the shapes of its answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import AiJob, BadRequest, kind_of, parse_job
from livefleet.ai.chat import Conversation, Finish, Usage
from livefleet.ai.errors import LivefleetError, Unbillable
from livefleet.ai.pipelines.generation import Pieces
from livefleet.spec import Pipeline

pytestmark = pytest.mark.unit

KIND = kind_of(Pipeline.LLM)
HELLO = [{"role": "user", "content": "Hello?"}]


def parse(**fields: object) -> AiJob:
    return parse_job(KIND, {"messages": HELLO, "model": "a/b", "max_tokens": 12} | fields)


def test_parse__max_tokens__is_what_is_billed():
    job = parse(max_tokens=77)
    assert (job.units, job.model_id, job.streams) == (77, "a/b", False)
    assert parse(stream=True).streams


def test_parse__only_what_must_be_said__has_ai_runners_defaults():
    assert parse().fields == {
        "messages": HELLO, "model": "a/b", "max_tokens": 12, "temperature": 0.7, "top_p": 1.0, "top_k": -1,
        "stream": False,
    }  # fmt: skip


def test_runner__max_tokens_omitted__is_ai_runners_default():
    assert KIND.runner_fields.model_validate({"messages": HELLO}).max_tokens == 256


def test_units__max_tokens_omitted__is_refused_in_the_orchestrators_own_words():
    fields = KIND.fields.model_validate({"messages": HELLO, "model": "a/b"})
    with pytest.raises(Unbillable, match=r"^MaxTokens not specified$"):
        KIND.units(fields, None)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello?"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "god", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "x" * 500_001}]}, "messages.0.content"),
        ({"messages": HELLO * 1025}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"seed": 2**63}, "seed"),
        ({"model": None}, "model: a model has to be named"),
        ({"model": ""}, "model: a model has to be named"),
    ],
)
def test_parse__outside_the_limits__is_the_clients_fault(fields: dict, fault: str):
    with pytest.raises(BadRequest) as refused:
        parse(**fields)
    assert refused.value.text.startswith("LLM container returned 400: ")
    assert fault in refused.value.text
    assert "xxxxx" not in refused.value.text


@given(
    st.dictionaries(
        st.sampled_from(sorted(KIND.fields.model_fields)),
        st.text() | st.floats() | st.integers() | st.booleans() | st.lists(st.dictionaries(st.text(), st.text())),
    )
)
def test_parse__any_values__give_a_job_or_a_refusal(fields: dict):
    try:
        job = parse(**fields)
    except LivefleetError:
        return
    assert 1 <= job.units <= 32_768
    json.dumps(dict(job.fields), allow_nan=False)


def test_answer__whole__is_what_gateways_read():
    answer = Conversation("chatcmpl-1", "a/b", 1700000000).whole("Paris.", Finish.STOP, Usage(7, 3))
    assert answer == {
        "id": "chatcmpl-1",
        "model": "a/b",
        "created": 1700000000,
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris."}}],
    }


def test_answer__chunks__have_one_choice_each_and_only_the_last_ends():
    conversation = Conversation("chatcmpl-1", "a/b", 1)
    chunk, last = conversation.chunk("Par", Usage(7, 1)), conversation.last_chunk(Finish.LENGTH, Usage(7, 3))
    assert chunk["choices"] == [{"index": 0, "finish_reason": "", "delta": {"role": "assistant", "content": "Par"}}]
    assert last["choices"] == [{"index": 0, "finish_reason": "length", "delta": {"role": "assistant", "content": ""}}]
    assert last["usage"]["total_tokens"] == 10


def bytes_as_text(tokens: list[int]) -> str:
    return bytes(tokens).decode(errors="replace")


@given(st.text())
def test_pieces__a_token_a_byte__are_whole_characters_and_the_same_text(text: str):
    pieces = Pieces(bytes_as_text)
    told = [pieces.add(byte) for byte in text.encode()] + [pieces.rest()]
    assert "".join(told) == text
    assert "\ufffd" not in "".join(told[:-1]) or "\ufffd" in text


@given(st.binary(max_size=200))
def test_pieces__bytes_that_are_no_text__hold_back_no_more_than_a_character_may_have(data: bytes):
    pieces = Pieces(bytes_as_text)
    held = 0
    for byte in data:
        held = 0 if pieces.add(byte) else held + 1
        assert held < 16
    pieces.rest()
    assert pieces.rest() == ""
