"""A runner's answers in the words that gateways know."""

from pathlib import Path

import httpx
import pytest

from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import RunnerHung, RunnerRefused
from livefleet.ai.runner_memory import RunnerMemory
from livefleet.ai.watch import RunnerHealth
from livefleet.spec import Pipeline
from tests.builders.ai import a_job

pytestmark = pytest.mark.unit


def a_client(answer: httpx.Response | Exception) -> RunnerClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = RunnerClient(Path("/nowhere"), Pipeline.TEXT_TO_IMAGE, health_timeout_s=1, request_limit_s=9)
    client._http = httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://runner")
    return client


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            httpx.Response(400, json={"detail": {"msg": "Prompt must be provided."}}),
            "returned 400: Prompt must be provided.",
        ),
        (httpx.Response(500, json={"detail": {"msg": "Out of memory."}}), "returned 500: Out of memory."),
        (httpx.Response(422, json={"detail": [{"loc": ["body"]}]}), 'returned 422: {"detail":[{"loc":["body"]}]}'),
        (httpx.Response(400, json={"detail": "text"}), 'returned 400: {"detail":"text"}'),
        (httpx.Response(401, json={"detail": {"msg": "Invalid bearer token."}}), "returned 401: Invalid bearer token."),
        (httpx.Response(413, json={"detail": {"msg": "x"}}), "returned 413: file too large; max file size is 50MB"),
        (httpx.Response(413, text="x"), "returned 413: file too large; max file size is 50MB"),
        (
            httpx.Response(415, json={"detail": {"msg": "Unsupported audio format or malformed file."}}),
            "returned 415: Unsupported audio format or malformed file.",
        ),
        (httpx.Response(500, text="[" * 100_000), "returned 500 without a reason"),
        (httpx.Response(502, text="Bad Gateway"), "returned 502 without a reason"),
        (httpx.Response(200, text="nonsense"), "sent no result"),
        (httpx.ReadError("reset"), "went away during the request"),
        (httpx.ConnectError("refused"), "went away during the request"),
    ],
)
async def test_client__runner_fails__is_wrapped(answer: httpx.Response | Exception, text: str):
    async with a_client(answer) as client:
        with pytest.raises(RunnerRefused) as refused:
            await client.run(a_job())
    assert refused.value.text.startswith(f"text-to-image container {text}")
    assert refused.value.status == 500


async def test_client__no_answer_in_time__is_hung():
    async with a_client(httpx.ReadTimeout("late")) as client:
        with pytest.raises(RunnerHung):
            await client.run(a_job())


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (httpx.Response(200, json={"status": "OK"}), RunnerHealth.OK),
        (httpx.Response(200, json={"status": "LOADING"}), RunnerHealth.LOADING),
        (httpx.Response(200, json={"status": "WEIRD"}), RunnerHealth.SILENT),
        (httpx.Response(200, text="hello"), RunnerHealth.SILENT),
        (httpx.Response(500, json={"detail": {"msg": "x"}}), RunnerHealth.SILENT),
        (httpx.ConnectError("refused"), RunnerHealth.SILENT),
    ],
)
async def test_health__any_answer__has_a_meaning(answer: httpx.Response | Exception, health: RunnerHealth):
    async with a_client(answer) as client:
        assert await client.health() is health


@pytest.mark.parametrize(
    ("answer", "memory"),
    [
        (httpx.Response(200, json={"loaded": 5, "peak": 7}), RunnerMemory(5, 7)),
        # ai-runner's containers know no such path.
        (httpx.Response(404, json={"detail": "Not Found"}), None),
        (httpx.Response(200, json={"loaded": "much"}), None),
        (httpx.ConnectError("refused"), None),
    ],
)
async def test_memory__any_answer__has_a_meaning(answer: httpx.Response | Exception, memory: RunnerMemory | None):
    async with a_client(answer) as client:
        assert await client.memory() == memory


@pytest.mark.parametrize(
    ("answer", "gpus"),
    [
        (httpx.Response(200, json={"gpu_info": {"0": {"id": "GPU-1"}}}), {"0": {"id": "GPU-1"}}),
        (httpx.Response(200, json={"gpu_info": None}), {}),
        (httpx.Response(500), {}),
        (httpx.ReadTimeout("late"), {}),
    ],
)
async def test_gpu_info__any_answer__has_a_meaning(answer: httpx.Response | Exception, gpus: dict):
    async with a_client(answer) as client:
        assert await client.gpu_info() == gpus


EVENTS = {"content-type": "text/event-stream"}


async def taken(answer: httpx.Response | Exception) -> list:
    async with a_client(answer) as client:
        return [chunk async for chunk in client.stream(a_job())]


async def test_stream__to_its_end__is_the_chunks_alone():
    text = 'data: {"choices":[1]}\n\n: keep alive\n\nevent: x\ndata:{"choices":[2]}\n\ndata: [DONE]\n\n'
    assert await taken(httpx.Response(200, text=text, headers=EVENTS)) == [{"choices": [1]}, {"choices": [2]}]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (httpx.Response(500, json={"detail": {"msg": "x"}}), "unexpected status code: 500"),
        (httpx.Response(413), "unexpected status code: 413"),
        (httpx.Response(200, text='data: {"error":"bad luck"}\n\n', headers=EVENTS), "container failed: bad luck"),
        (
            httpx.Response(400, json={"detail": {"msg": "too long"}}),
            "text-to-image container returned 400: too long",
        ),
        (httpx.Response(200, text="data: {\n\n", headers=EVENTS), "container sent a broken chunk"),
        (httpx.ReadError("reset"), "container went away during the request"),
    ],
)
async def test_stream__runner_fails__is_wrapped(answer: httpx.Response | Exception, text: str):
    with pytest.raises(RunnerRefused, match=text):
        await taken(answer)
