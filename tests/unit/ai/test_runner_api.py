"""ai-runner's HTTP shapes, over a generator that needs no model."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from livefleet.ai.errors import BadFields, BadUpload, Cancelled, DeadlinePassed, InferenceFailed, OutOfMemory
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields
from livefleet.ai.pipelines import kind_of
from livefleet.ai.result_frames import CONTENT_TYPE, of_frames
from livefleet.ai.runner_api import RunnerApi
from livefleet.ai.stop import Stop
from livefleet.hardware import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.spec import Pipeline
from tests.builders.ai import MODEL_ID, images, runner_settings
from tests.builders.ai_kinds import PictureKind, TextKind

pytestmark = pytest.mark.unit

UUID = "GPU-11111111-2222-3333-4444-555555555555"
GPU = GpuSample(
    index=0, uuid=UUID, name="x", memory_total=20, memory_used=5, compute_capability=(9, 0),
    utilization=70, memory_utilization=30,
)  # fmt: skip
TOLD = {"id": UUID, "name": "x", "memory_total": 20, "memory_free": 15}
NAMES = {"pipeline": "text-to-image", "model_id": MODEL_ID}
JOB = {"prompt": "p", "seed": 3}


class Echo:
    """Makes images that say what was asked, or fails as told."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self._failure = failure

    def run(self, fields: JobFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        if self._failure:
            raise self._failure
        png = f"{fields.prompt} {fields.width}x{fields.height}".encode()
        return images(*[png] * fields.num_images_per_prompt, first_seed=seed)


@pytest.fixture
def ask() -> Callable[..., Any]:
    async def do(method: str, path: str, model: Echo | None = None, *, told=None, gpus=(GPU,), kind=None, **request):
        settings = runner_settings(**told or {})
        with ThreadPoolExecutor(1) as threads:
            api = RunnerApi(
                settings,
                kind or kind_of(Pipeline.TEXT_TO_IMAGE),
                threads,
                random.Random(1),
                lambda: HardwareSnapshot(0, None, None, gpus),
            )
            if model:
                api.loaded(model)
            transport = httpx.ASGITransport(app=api.app())
            async with httpx.AsyncClient(transport=transport, base_url="http://runner") as http:
                return await http.request(method, path, **request)

    return do


@pytest.fixture
def call(ask) -> Callable[..., Any]:
    async def do(*args: Any, **request: Any) -> tuple[int, Any]:
        reply = await ask(*args, **request)
        return reply.status_code, reply.json()

    return do


@pytest.mark.parametrize("slash", ["", "/"])
async def test_routes__with_and_without_slash__answer(call, slash: str):
    assert await call("GET", f"/health{slash}") == (200, {"status": "LOADING"})
    assert await call("GET", f"/health{slash}", Echo()) == (200, {"status": "OK"})
    assert await call("GET", f"/version{slash}") == (200, NAMES | {"version": "0.14.1"})
    status, reply = await call("POST", f"/text-to-image{slash}", Echo(), json=JOB)
    # `p 1024x576` in base64: the size that ai-runner takes when none is given.
    assert (status, reply) == (
        200,
        {"images": [{"url": "data:image/png;base64,cCAxMDI0eDU3Ng==", "seed": 3, "nsfw": False}]},
    )


@pytest.mark.parametrize("slash", ["", "/"])
async def test_hardware__of_the_runners_own_gpu__is_told(call, slash: str):
    other = GpuSample(index=1, uuid="GPU-99999999-2222-3333-4444-555555555555", name="y")
    info, stats = f"/hardware/info{slash}", f"/hardware/stats{slash}"
    told = {"told": {"device": UUID}, "gpus": (other, GPU)}
    assert await call("GET", info, **told) == (200, NAMES | {"gpu_info": {"0": TOLD | {"major": 9, "minor": 0}}})
    use = {"utilization_compute": 70, "utilization_memory": 30}
    assert await call("GET", stats, **told) == (200, NAMES | {"gpu_stats": {"0": TOLD | use}})
    # On a CPU, and for a GPU that is not there any more or broken.
    broken = GpuSample(index=0, uuid=UUID, fault=NvmlFault(Fault.LOST, "fell off the bus"))
    for nothing in ({"gpus": (other, GPU)}, {"told": {"device": UUID}, "gpus": ()}, told | {"gpus": (broken,)}):
        assert await call("GET", info, **nothing) == (200, NAMES | {"gpu_info": {}})
        assert await call("GET", stats, **nothing) == (200, NAMES | {"gpu_stats": {}})


async def test_metrics__any_time__tell_the_version(ask):
    reply = await ask("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'version{app="ai-runner",version="0.14.1"} 1.0' in reply.text.splitlines()


async def test_memory__of_the_process__is_told_when_loaded(call):
    assert (await call("GET", "/livefleet/memory"))[0] == 503
    status, memory = await call("GET", "/livefleet/memory", Echo())
    assert status == 200
    assert memory["peak"] > 0
    assert memory["loaded"] > 10_000_000


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/nothing", (404, {"detail": "Not Found"})),
        ("GET", "/text-to-image", (405, {"detail": "Method Not Allowed"})),
        # One pipeline a container.
        ("POST", "/llm", (404, {"detail": "Not Found"})),
    ],
)
async def test_routes__not_there__are_refused_as_by_fastapi(call, method: str, path: str, answer: tuple[int, Any]):
    assert await call(method, path, Echo()) == answer


TOKEN = {"auth_token": "open sesame"}


@pytest.mark.parametrize("given", [None, "open sesame", "Bearer", "Bearer x", "Bearer open", "Basic open sesame"])
async def test_token__absent_or_another__is_refused_before_the_body_is_read(ask, given: str | None):
    headers = {} if given is None else {"authorization": given}
    reply = await ask("POST", "/text-to-image", Echo(), told=TOKEN, headers=headers, content=b"no json")
    assert (reply.status_code, reply.json()) == (401, {"detail": {"msg": "Invalid bearer token."}})
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_token__right__opens_the_pipeline_and_nothing_else_needs_it(ask):
    headers = {"authorization": "bearer open sesame"}
    assert (await ask("POST", "/text-to-image", Echo(), told=TOKEN, headers=headers, json=JOB)).status_code == 200
    for path in ("/health", "/version", "/hardware/info", "/hardware/stats", "/metrics"):
        assert (await ask("GET", path, Echo(), told=TOKEN)).status_code == 200


async def test_text_to_image__agent_asks__brings_the_media_as_they_are(ask):
    reply = await ask("POST", "/text-to-image", Echo(), json=JOB, headers={"accept": CONTENT_TYPE})
    assert reply.headers["content-type"] == CONTENT_TYPE
    assert of_frames(reply.content) == images(b"p 1024x576", first_seed=3)


class Masks(Echo):
    """Answers with megabytes of text."""

    def run(self, fields: JobFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        return AiResult({"masks": "0.5, " * 300_000, "scores": "[1]"})


async def test_masks__of_megabytes__are_the_same_for_the_agent_and_for_others(ask):
    wanted = {"masks": "0.5, " * 300_000, "scores": "[1]"}
    plain = await ask("POST", "/text-to-image", Masks(), json=JOB)
    assert (plain.headers["content-type"], plain.json()) == ("application/json", wanted)
    framed = await ask("POST", "/text-to-image", Masks(), json=JOB, headers={"accept": CONTENT_TYPE})
    assert (framed.headers["content-type"], int(framed.headers["content-length"])) == (
        CONTENT_TYPE,
        len(framed.content),
    )
    assert of_frames(framed.content) == AiResult(wanted)


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
        (BadFields("prompt: too long"), 400, "prompt: too long."),
        (ValueError("odd"), 400, "Text-to-image pipeline error."),
        (KeyError("odd"), 500, "Text-to-image pipeline error."),
        (
            BadUpload("Unsupported audio format or malformed file.", 415),
            415,
            "Unsupported audio format or malformed file.",
        ),
        (SystemExit(1), 500, "Text-to-image pipeline error."),
    ],
)
async def test_text_to_image__pipeline_fails__has_ai_runners_words(
    call, failure: BaseException, status: int, message: str
):
    assert await call("POST", "/text-to-image", Echo(failure), json={"prompt": "p"}) == (
        status,
        {"detail": {"msg": message}},
    )


class Unserialisable:
    def run(self, fields: JobFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        return AiResult({"score": float("nan")})


async def test_text_to_image__answer_is_no_json__is_the_pipelines_error(call):
    status, reply = await call("POST", "/text-to-image", Unserialisable(), json=JOB)
    assert (status, reply) == (500, {"detail": {"msg": "Text-to-image pipeline error."}})


def test_stop__late__raises():
    Stop(float("inf")).check()
    with pytest.raises(DeadlinePassed):
        Stop(0).check()


def test_stop__client_gone__raises():
    stop = Stop(float("inf"))
    stop.cancel()
    with pytest.raises(Cancelled):
        stop.check()


class Talk(Echo):
    """Says its prompt letter by letter, or fails as told."""

    def stream(self, fields: JobFields, stop: Stop) -> Iterator[dict[str, Any]]:
        yield from ({"choices": [letter]} for letter in fields.prompt)
        if self._failure:
            raise self._failure


LETTERS = 'data: {"choices":["a"]}\n\ndata: {"choices":["b"]}\n\n'


@pytest.mark.parametrize(
    ("failure", "end"),
    [
        (None, "data: [DONE]\n\n"),
        (RuntimeError("bad luck"), 'data: {"error":"bad luck"}\n\n'),
    ],
)
async def test_llm__streams__ends_with_done_or_the_error(ask, failure: Exception | None, end: str):
    reply = await ask("POST", "/llm", Talk(failure), kind=TextKind(), told=LLM, json={"prompt": "ab", "stream": True})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.text == LETTERS + end


LLM = {"pipeline": Pipeline.LLM}


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (OutOfMemory("x"), (500, "Internal server error during LLM processing.")),
        (ValueError("x"), (500, "Internal server error during LLM processing.")),
        (BadFields("too long"), (400, "too long")),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_llm__fails_at_once__is_one_text_unless_the_client_is_at_fault(
    call, failure: Exception, answer: tuple[int, str], streams: bool
):
    asked = {"prompt": "", "stream": streams}
    status, reply = await call("POST", "/llm", Talk(failure), kind=TextKind(), told=LLM, json=asked)
    assert (status, reply["detail"]["msg"]) == answer


async def test_llm__other_model_or_token__has_no_final_dots(call):
    words = {"detail": {"msg": f"pipeline configured with {MODEL_ID} but called with b/c"}}
    assert await call("POST", "/llm", Talk(), kind=TextKind(), told=LLM, json={"model": "b/c"}) == (400, words)
    refused = await call("POST", "/llm", Talk(), kind=TextKind(), told=LLM | TOKEN, json={})
    assert refused == (401, {"detail": {"msg": "Invalid bearer token"}})


IMAGE = {"pipeline": Pipeline.IMAGE_TO_IMAGE}


async def test_image_to_image__multipart__is_read_and_its_faults_are_told(call):
    class Mirror(Echo):
        def run(self, fields: JobFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
            return images(upload or b"", first_seed=seed)

    async def post(**parts: Any) -> tuple[int, Any]:
        return await call("POST", "/image-to-image", Mirror(), kind=PictureKind(), told=IMAGE, **parts)

    file = {"image": ("image", b"x" * 10, "application/octet-stream")}
    assert (await post(data={"prompt": "p"}, files=file))[0] == 200
    status, reply = await post(files=file)
    assert (status, reply["detail"][0]["loc"]) == (422, ["body", "prompt"])
    status, reply = await post(data={"prompt": "p"})
    assert (status, reply["detail"][0]["loc"]) == (422, ["body", "image"])
    too_large = {"image": ("image", b"x" * 1001, "application/octet-stream")}
    refused = (413, {"detail": {"msg": "File size exceeds limit."}})
    assert await post(data={"prompt": "p"}, files=too_large) == refused
