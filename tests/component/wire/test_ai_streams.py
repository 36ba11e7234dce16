"""Answers chunk by chunk, and work whose gateway goes away."""

import asyncio
import json

import httpx
import pytest

from livefleet.ai import RunnerRefused
from livefleet.roles.own_metrics import own_server_readings
from livefleet.spec import Pipeline
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, ask
from tests.builders.wire import (
    IMAGE_BODY,
    MODEL,
    FreePayments,
    OnePlace,
    a_chunk,
    credentials_for,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 12, "stream": True}
MANIFEST = f"33_{MODEL}"


@pytest.fixture
async def talker(serve):
    ai, payments = (
        OnePlace(Pipeline.LLM, chunks=[a_chunk("Hel"), a_chunk("lo."), a_chunk(finish="stop")]),
        FreePayments(),
    )
    orchestrator = await serve(ai=ai, payments=payments)
    orchestrator.ai, orchestrator.payments = ai, payments
    orchestrator.headers = await headers(orchestrator)
    return orchestrator


async def headers(orchestrator):
    token = (await orchestrator.info()).auth_token
    sent = work_headers(credentials_for(token, b"", profiles=(), capabilities=None), signer=None)
    return {"Livepeer-Segment": sent["Livepeer-Segment"], "Livepeer-Payment": ""}


def posted(talker, **body):
    return talker.http.stream("POST", f"{talker.uri}/llm", json=QUESTION | body, headers=talker.headers)


def counted(talker):
    """What alerts go by."""
    readings = own_server_readings(talker.server.snapshot(), talker.server.counters)
    wanted = {"livefleet_ai_requests_done_total": "ai_requests_done", "livefleet_images_failed_total": "images_failed"}
    return {wanted[name]: value for name, _, _, _, value in readings if name in wanted}


async def test_stream__our_gateway__reads_the_whole_answer(talker):
    fields = {name: value for name, value in QUESTION.items() if name != "model"}
    report = await ask(parse_endpoint(talker.uri), Payer(None), AiRequest("llm", MODEL, fields))
    assert (report.problems, report.text, len(report.chunks)) == ((), "Hello.", 3)
    assert talker.payments.debits == [(MANIFEST, 12)]
    assert counted(talker) == {"ai_requests_done": 1, "images_failed": 0}


async def test_stream__on_the_wire__is_events_without_done(talker):
    async with posted(talker) as reply:
        text = (await reply.aread()).decode()
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/event-stream")
    assert reply.headers["cache-control"] == "no-cache"
    events = text.split("\n\n")
    assert events.pop() == ""
    assert [json.loads(event.removeprefix("data: ")) for event in events] == talker.ai.chunks


async def test_stream__chunks__leave_one_by_one_after_the_debit(talker):
    talker.ai.chunks = _then_shut(talker.ai)
    async with posted(talker) as reply:
        lines = reply.aiter_lines()
        first = await anext(lines)
        assert json.loads(first.removeprefix("data: ")) == a_chunk("a")
        assert (talker.payments.debits, talker.ai.sent) == ([(MANIFEST, 12)], 1)
        talker.ai.gate.set()
        rest = [line async for line in lines if line]
    assert [json.loads(line.removeprefix("data: ")) for line in rest] == [a_chunk("b", finish="stop")]


async def test_stream__after_the_finish_reason__no_more_is_computed(talker):
    talker.ai.chunks = [a_chunk("a"), a_chunk(finish="length"), a_chunk("never")]
    async with posted(talker) as reply:
        text = (await reply.aread()).decode()
    assert text.count("data: ") == 2
    assert talker.ai.sent == 2


class SlowToClose(OnePlace):
    """A model that takes its time to notice that no more is wanted of it."""

    async def stream(self, job):
        try:
            async for chunk in OnePlace.stream(self, job):
                yield chunk
        finally:
            await asyncio.sleep(0.3)


async def test_stream__last_event_is_there__the_place_is_free_for_the_next_request(serve):
    ai = SlowToClose(Pipeline.LLM, chunks=[a_chunk("a"), a_chunk(finish="stop"), a_chunk("never")])
    orchestrator = await serve(ai=ai, payments=FreePayments())
    orchestrator.headers = await headers(orchestrator)
    async with posted(orchestrator) as reply:
        async for line in reply.aiter_lines():
            if '"stop"' in line:
                assert ai.in_use == 0
                break
        else:
            pytest.fail("no last event")


async def test_stream__chunk_without_a_choice__is_left_out(talker):
    talker.ai.chunks = [{"usage": {}}, {"choices": []}, a_chunk("a", finish="stop")]
    async with posted(talker) as reply:
        assert (await reply.aread()).count(b"data: ") == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RunnerRefused("LLM container returned 500: Out of memory."), "LLM container returned 500: Out of memory."),
        (None, "LLM container sent no answer"),
    ],
)
async def test_stream__failure_before_the_first_chunk__is_500_and_free(talker, error, text):
    talker.ai.error = error
    if error is None:
        talker.ai.chunks = []
    async with posted(talker) as reply:
        body = (await reply.aread()).decode()
    assert (reply.status_code, body) == (500, text + "\n")
    assert talker.payments.debits == []
    assert talker.ai.in_use == 0


async def test_stream__failure_between_chunks__breaks_the_answer_off(talker):
    def chunks():
        yield a_chunk("a")
        talker.ai.error = RunnerRefused("LLM container went away during the request")
        yield a_chunk("never")

    talker.ai.chunks = chunks()
    async with posted(talker) as reply:
        lines = reply.aiter_lines()
        with pytest.raises(httpx.RemoteProtocolError):
            await _read(lines)
    await until(lambda: talker.ai.in_use == 0)
    assert counted(talker) == {"ai_requests_done": 0, "images_failed": 1}


async def _read(lines):
    async for line in lines:
        assert not line or line.startswith("data: {")


async def test_stream__gateway_goes_away__computing_stops_and_the_place_is_free(talker):
    talker.ai.chunks = _then_shut(talker.ai)
    async with posted(talker) as reply:
        await anext(reply.aiter_lines())
        assert talker.ai.in_use == 1
    await until(lambda: talker.ai.in_use == 0)
    assert talker.ai.cancelled == 1
    assert talker.server.in_flight == 0


def _then_shut(ai):
    """Chunks of which only the first is computed."""

    def chunks():
        yield a_chunk("a")
        ai.gate.clear()
        yield a_chunk("b", finish="stop")

    return chunks()


async def test_whole_answer__gateway_goes_away__computing_stops_and_nothing_is_charged(serve):
    ai, payments = OnePlace(), FreePayments()
    ai.gate.clear()
    orchestrator = await serve(ai=ai, payments=payments)
    sent = await headers(orchestrator)
    with pytest.raises(httpx.ReadTimeout):
        await orchestrator.http.post(f"{orchestrator.uri}/text-to-image", json=IMAGE_BODY, headers=sent, timeout=0.5)
    await until(lambda: ai.in_use == 0)
    assert (ai.cancelled, payments.debits, orchestrator.server.in_flight) == (1, [], 0)
