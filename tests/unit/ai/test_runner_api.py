"""ai-runner's HTTP shapes, over a generator that needs no model."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from livefleet.ai.errors import Cancelled, DeadlinePassed, InferenceFailed, OutOfMemory
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields
from livefleet.ai.pipelines import kind_of
from livefleet.ai.runner_api import RunnerApi
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline
from tests.builders.ai import MODEL_ID, images, runner_settings

pytestmark = pytest.mark.unit

GPU = {"0": {"id": "GPU-1", "name": "x", "memory_total": 2, "memory_free": 1, "major": 9, "minor": 0}}


class Echo:
    """Makes images that say what was asked, or fails as told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure

    def run(self, fields: JobFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        if self._failure:
            raise self._failure
        png = f"{fields.prompt} {fields.width}x{fields.height}".encode()
        return images(*[png] * fields.num_images_per_prompt, first_seed=seed)

    def gpu_info(self) -> dict[str, Any]:
        return GPU


@pytest.fixture
def call() -> Callable[..., Any]:
    async def do(method: str, path: str, generator: Echo | None = None, **request: Any) -> tuple[int, Any]:
        with ThreadPoolExecutor(1) as threads:
            api = RunnerApi(runner_settings(), kind_of(Pipeline.TEXT_TO_IMAGE), threads, random.Random(1))
            if generator:
                api.loaded(generator)
            transport = httpx.ASGITransport(app=api.app())
            async with httpx.AsyncClient(transport=transport, base_url="http://runner") as http:
                reply = await http.request(method, path, **request)
                return reply.status_code, reply.json()

    return do


@pytest.mark.parametrize("slash", ["", "/"])
async def test_routes__with_and_without_slash__answer(call, slash: str):
    names = {"pipeline": "text-to-image", "model_id": MODEL_ID}
    assert await call("GET", f"/health{slash}") == (200, {"status": "LOADING"})
    assert await call("GET", f"/health{slash}", Echo()) == (200, {"status": "OK"})
    assert await call("GET", f"/version{slash}") == (200, names | {"version": "0.14.1"})
    assert await call("GET", f"/hardware/info{slash}") == (200, names | {"gpu_info": {}})
    assert await call("GET", f"/hardware/info{slash}", Echo()) == (200, names | {"gpu_info": GPU})
    status, reply = await call("POST", f"/text-to-image{slash}", Echo(), json={"prompt": "p", "seed": 3})
    # `p 1024x576` in base64: the size that ai-runner takes when none is given.
    assert (status, reply) == (
        200,
        {"images": [{"url": "data:image/png;base64,cCAxMDI0eDU3Ng==", "seed": 3, "nsfw": False}]},
    )


async def test_text_to_image__several__have_seeds_in_a_row(call):
    body = {"prompt": "p", "num_images_per_prompt": 3, "model_id": MODEL_ID}
    status, reply = await call("POST", "/text-to-image", Echo(), json=body)
    seeds = [image["seed"] for image in reply["images"]]
    assert status == 200
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    assert 0 <= seeds[0] < 2**32


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"prompt": ""}, "Prompt must be provided."),
        ({"prompt": "p", "model_id": "b/c"}, f"pipeline configured with {MODEL_ID} but called with b/c."),
        (
            {"prompt": "p", "height": 100, "width": 64},
            "`height` and `width` have to be divisible by 8 but are 100 and 64.",
        ),
        ({"prompt": "p", "loras": '{"x": 1}'}, "LoRAs are not served by this runner."),
    ],
)
async def test_text_to_image__clients_fault__has_ai_runners_words(call, body: dict[str, Any], message: str):
    assert await call("POST", "/text-to-image", Echo(), json=body) == (400, {"detail": {"msg": message}})


async def test_text_to_image__invalid_fields__are_listed_as_by_fastapi(call):
    status, reply = await call("POST", "/text-to-image", Echo(), json={"prompt": "p", "height": 10**6})
    assert status == 422
    assert [(fault["type"], fault["loc"]) for fault in reply["detail"]] == [("less_than_equal", ["body", "height"])]


async def test_text_to_image__no_json__is_listed_too(call):
    status, reply = await call("POST", "/text-to-image", Echo(), content=b"{")
    assert (status, reply["detail"][0]["loc"]) == (422, ["body"])


async def test_text_to_image__still_loading__is_an_error(call):
    status, _ = await call("POST", "/text-to-image", json={"prompt": "p"})
    assert status == 500


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (OutOfMemory("x"), 500, "Out of memory error. Try reducing output image resolution."),
        (RuntimeError("CUDA error: Out of memory"), 500, "Out of memory."),
        (InferenceFailed("bad luck"), 400, "bad luck."),
        (DeadlinePassed("Request took too long."), 500, "Request took too long."),
        (ValueError("odd"), 400, "Text-to-image pipeline error."),
        (KeyError("odd"), 500, "Text-to-image pipeline error."),
    ],
)
async def test_text_to_image__pipeline_fails__has_ai_runners_words(call, failure: Exception, status: int, message: str):
    assert await call("POST", "/text-to-image", Echo(failure), json={"prompt": "p"}) == (
        status,
        {"detail": {"msg": message}},
    )


def test_stop__late__raises():
    Stop(float("inf")).check()
    with pytest.raises(DeadlinePassed):
        Stop(0).check()


def test_stop__client_gone__raises():
    stop = Stop(float("inf"))
    stop.cancel()
    with pytest.raises(Cancelled):
        stop.check()
