"""ai-runner's HTTP API as a Starlette application, without torch: the pipeline is handed in."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livefleet.ai.errors import Cancelled, DeadlinePassed, InferenceFailed, OutOfMemory
from livefleet.ai.models import ImageResult, RunnerTextToImage, images_to_json, size_fault
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.watch import RunnerHealth

__all__ = ["Generator", "RunnerApi"]

log = logging.getLogger(__name__)

_MAX_SEED = 2**32 - 1


class Generator(Protocol):
    """A loaded pipeline."""

    def text_to_image(self, request: RunnerTextToImage, seed: int, stop: "Stop") -> Sequence[ImageResult]:
        """Make the images one after another, image n with `seed + n`. Called on worker threads, `capacity` at once.

        Raises Cancelled or DeadlinePassed when `stop` says so, OutOfMemory, InferenceFailed, ValueError.
        """
        ...

    def gpu_info(self) -> dict[str, Any]:
        """What `/hardware/info` tells under `gpu_info`; empty without a GPU."""
        ...


class Stop:
    """Why a job should stop computing; looked at between steps."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline  # on time.monotonic
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Nobody waits any more. From any thread."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise Cancelled or DeadlinePassed if the job should end here."""
        if self._cancelled.is_set():
            raise Cancelled("the client is gone")
        if time.monotonic() > self._deadline:
            raise DeadlinePassed("Request took too long.")


class RunnerApi:
    """The application and the little state it has: loading, then one generator."""

    def __init__(self, settings: RunnerSettings, threads: Executor, rng: random.Random) -> None:
        self._settings = settings
        self._threads = threads
        self._rng = rng
        self._generator: Generator | None = None

    def loaded(self, generator: Generator) -> None:
        """From now on `/health` says OK and jobs are taken."""
        self._generator = generator

    def app(self) -> Starlette:
        """The ASGI application; every route answers with and without a trailing slash."""
        routes = (
            ("/health", self._health, "GET"),
            ("/hardware/info", self._hardware, "GET"),
            ("/version", self._version, "GET"),
            (f"/{self._settings.pipeline}", self._text_to_image, "POST"),
        )
        return Starlette(
            routes=[
                Route(path, handler, methods=[method])
                for plain, handler, method in routes
                for path in (plain, f"{plain}/")
            ]
        )

    async def _health(self, _: Request) -> Response:
        health = RunnerHealth.LOADING if self._generator is None else RunnerHealth.OK
        return JSONResponse({"status": health.value})

    async def _hardware(self, _: Request) -> Response:
        gpu_info = {} if self._generator is None else self._generator.gpu_info()
        return JSONResponse(self._names() | {"gpu_info": gpu_info})

    async def _version(self, _: Request) -> Response:
        return JSONResponse(self._names() | {"version": self._settings.version})

    def _names(self) -> dict[str, str]:
        return {"pipeline": self._settings.pipeline.value, "model_id": self._settings.model_id}

    async def _text_to_image(self, http: Request) -> Response:
        try:
            request = RunnerTextToImage.model_validate_json(await http.body())
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            return JSONResponse({"detail": [fault | {"loc": ["body", *fault["loc"]]} for fault in faults]}, 422)
        if fault := self._fault_of(request):
            return _failure(400, fault)
        if self._generator is None:
            return _failure(500, "The model is still loading.")
        seed = self._rng.randint(0, _MAX_SEED) if request.seed is None else request.seed
        stop = Stop(time.monotonic() + self._settings.request_timeout_s)
        job = asyncio.get_running_loop().run_in_executor(
            self._threads, self._generator.text_to_image, request, seed, stop
        )
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_cancel_when_gone(http, stop))
            try:
                images = await job
            except Exception as error:  # noqa: BLE001 -- diffusers raises anything; each becomes ai-runner's answer
                return _answer_to(error)
            finally:
                watch.cancel()
        return JSONResponse(images_to_json(images))

    def _fault_of(self, request: RunnerTextToImage) -> str | None:
        if not request.prompt:
            return "Prompt must be provided."
        own = self._settings.model_id
        if request.model_id not in {"", own}:
            return f"pipeline configured with {own} but called with {request.model_id}."
        if request.loras not in {"", "{}"}:
            return "LoRAs are not served by this runner."
        return size_fault(request)


async def _cancel_when_gone(http: Request, stop: Stop) -> None:
    """After the body, the next thing that a client can say is that it is gone."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
    stop.cancel()


def _failure(status: int, message: str) -> Response:
    return JSONResponse({"detail": {"msg": message}}, status)


def _answer_to(error: Exception) -> Response:
    """ai-runner's answer to what a pipeline raised."""
    match error:
        case OutOfMemory():
            answer = _failure(500, "Out of memory error. Try reducing output image resolution.")
        case DeadlinePassed() | Cancelled():
            answer = _failure(500, str(error))
        case InferenceFailed():
            answer = _failure(400, f"{error}.")
        case ValueError():
            answer = _failure(400, "Text-to-image pipeline error.")
        case _ if "out of memory" in str(error).lower():
            answer = _failure(500, "Out of memory.")
        case _:
            answer = _failure(500, "Text-to-image pipeline error.")
    log.warning("ai.job_failed", extra={"error": f"{type(error).__name__}: {error}", "status": answer.status_code})
    return answer
