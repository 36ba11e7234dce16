"""A runner's answers in the words that gateways know."""

from pathlib import Path

import httpx
import pytest

from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import RunnerHung, RunnerRefused
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
