"""ai-runner's HTTP API as a Starlette application, without torch: the loaded model is handed in."""

import asyncio
import dataclasses
import hmac
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, cast

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from livefleet.ai.batching import Jobs
from livefleet.ai.forms import BadForm, discard_rest, read_fields
from livefleet.ai.jobs import AiResult
from livefleet.ai.json_text import holds_large_text, rendered
from livefleet.ai.kinds import BatchedJob, JobFields, Kind, Model, StreamingModel
from livefleet.ai.result_frames import CONTENT_TYPE, as_frames
from livefleet.ai.runner_answers import answer_to, failure, unprocessable, wrong_token
from livefleet.ai.runner_hardware import gpu_info, gpu_stats
from livefleet.ai.runner_memory import MemoryMeter
from livefleet.ai.runner_stream import as_events
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.ai.watch import RunnerHealth
from livefleet.hardware import HardwareSnapshot

__all__ = ["RunnerApi"]

log = logging.getLogger(__name__)

_MAX_SEED = 2**32 - 1


class RunnerApi:
    """The application and the little state it has: loading, then one model. `threads` has one a job of `capacity`."""

    def __init__(
        self,
        settings: RunnerSettings,
        kind: Kind[Any],
        threads: Executor,
        rng: random.Random,
        look: Callable[[], HardwareSnapshot],
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._threads = threads
        self._rng = rng
        self._look = look  # at the GPUs; may block
        self._loaded: _Loaded | None = None
        self._under_way = 0

    def loaded(self, model: Model[Any]) -> None:
        """From now on `/health` says OK and jobs are taken. From any thread."""
        jobs = Jobs(self._kind, model, threads=self._threads, most=self._settings.batch)
        self._loaded = _Loaded(model, jobs, MemoryMeter(model))

    def app(self) -> Starlette:
        """The ASGI application; every route but `/metrics` answers with and without a trailing slash."""
        routes = (
            ("/health", self._health, "GET"),
            ("/hardware/info", self._hardware_info, "GET"),
            ("/hardware/stats", self._hardware_stats, "GET"),
            ("/version", self._version, "GET"),
            ("/livefleet/memory", self._memory, "GET"),
            (f"/{self._settings.pipeline}", self._job, "POST"),
        )
        return Starlette(
            routes=[
                Route("/metrics", self._metrics, methods=["GET"]),
                *(
                    Route(path, handler, methods=[method])
                    for plain, handler, method in routes
                    for path in (plain, f"{plain}/")
                ),
            ],
            exception_handlers={HTTPException: _as_fastapi_says},
        )

    async def _health(self, _: Request) -> Response:
        health = RunnerHealth.LOADING if self._loaded is None else RunnerHealth.OK
        return JSONResponse({"status": health.value})

    async def _hardware_info(self, _: Request) -> Response:
        snapshot = await asyncio.to_thread(self._look)
        return JSONResponse(self._names() | {"gpu_info": gpu_info(snapshot, self._settings.device)})

    async def _hardware_stats(self, _: Request) -> Response:
        snapshot = await asyncio.to_thread(self._look)
        return JSONResponse(self._names() | {"gpu_stats": gpu_stats(snapshot, self._settings.device)})

    async def _version(self, _: Request) -> Response:
        return JSONResponse(self._names() | {"version": self._settings.version})

    async def _metrics(self, _: Request) -> Response:
        text = (
            "# HELP version Version of the runner\n# TYPE version gauge\n"
            f'version{{app="ai-runner",version="{self._settings.version}"}} 1.0\n'
        )
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _memory(self, _: Request) -> Response:
        """Not ai-runner's: what the agent's ledger is told."""
        if self._loaded is None:
            return failure(503, "The model is still loading.")
        return JSONResponse(dataclasses.asdict(self._loaded.memory.read()))

    def _names(self) -> dict[str, Any]:
        return {"pipeline": self._settings.pipeline.value, "model_id": self._settings.model_id}

    async def _job(self, http: Request) -> Response:
        if not self._may_ask(http):
            return wrong_token(self._kind)
        if self._loaded is None:
            return failure(500, "The model is still loading.")
        try:
            with self._loaded.jobs.coming():
                given, upload = await read_fields(http, self._kind)
            fields: JobFields = self._kind.runner_fields.model_validate(given)
        except BadForm as error:
            return await _refusal(http, error)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            return unprocessable(cast("list[dict[str, Any]]", faults))
        except ClientDisconnect:
            return failure(400, "the body ended early")
        if fault := self._fault_of(fields, upload):
            return failure(400, fault)
        seed = getattr(fields, "seed", None)
        stop = Stop(time.monotonic() + self._settings.request_timeout_s)
        job = BatchedJob(fields, upload, self._rng.randint(0, _MAX_SEED) if seed is None else seed, stop)
        if self._kind.streams(fields):
            return await self._events(http, self._loaded, job)
        return await self._result(http, self._loaded, job)

    def _may_ask(self, http: Request) -> bool:
        if self._settings.auth_token is None:
            return True
        scheme, _, token = http.headers.get("authorization", "").partition(" ")
        secret = self._settings.auth_token.get_secret_value()
        return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), secret.encode())

    def _fault_of(self, fields: JobFields, upload: bytes | None) -> str | None:
        own, asked = self._settings.model_id, getattr(fields, self._kind.model_field)
        if asked not in {"", own}:
            return f"pipeline configured with {own} but called with {asked}{self._kind.dot}"
        return self._kind.fault(fields, upload)

    async def _result(self, http: Request, loaded: "_Loaded", job: BatchedJob[Any]) -> Response:
        async with _cancelled_when_gone(http, job.stop):
            try:
                with self._counted(loaded):
                    result = await loaded.jobs.run(job)
                return await _encoded(result, framed=http.headers.get("accept") == CONTENT_TYPE)
            except Exception as error:  # noqa: BLE001 -- libraries raise anything; each becomes ai-runner's answer
                return self._failed(error)

    async def _events(self, http: Request, loaded: "_Loaded", job: BatchedJob[Any]) -> Response:
        model = cast("StreamingModel[Any]", loaded.model)
        events = as_events(lambda: model.stream(job.fields, job.stop), job.stop, self._threads)
        # What fails at once has a status of its own; afterwards there is only the 200 that was sent.
        async with _cancelled_when_gone(http, job.stop):
            try:
                with self._counted(loaded):
                    first = await anext(events)
            except Exception as error:  # noqa: BLE001 -- as above
                return self._failed(error)
        return _Events(first, events, counted=lambda: self._counted(loaded, begins=False))

    def _failed(self, error: Exception) -> Response:
        answer = answer_to(error, self._kind)
        said = {"error": f"{type(error).__name__}: {error}", "status": answer.status_code}
        log.warning("ai.job_failed", extra=said)
        return answer

    @contextmanager
    def _counted(self, loaded: "_Loaded", *, begins: bool = True) -> Iterator[None]:
        if begins and not self._under_way:
            loaded.memory.forget_peak()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


@dataclasses.dataclass(frozen=True, slots=True)
class _Loaded:
    model: Model[Any]
    jobs: Jobs
    memory: MemoryMeter


class _Events(StreamingResponse):
    """Closes its chunks when the client is gone, and not some time later."""

    def __init__(self, first: str, others: AsyncGenerator[str, None], *, counted: Callable[[], Any]) -> None:
        super().__init__(_chained(first, others), media_type="text/event-stream")
        self._others = others
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._counted():
            async with aclosing(self._others):
                await super().__call__(scope, receive, send)


async def _chained(first: str, others: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for one in others:
        yield one


@asynccontextmanager
async def _cancelled_when_gone(http: Request, stop: Stop) -> AsyncIterator[None]:
    """After the body, the next thing that a client can say is that it is gone."""

    async def watch() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass
        stop.cancel()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch())
        try:
            yield
        finally:
            task.cancel()


async def _refusal(http: Request, error: BadForm) -> Response:
    if error.status == 422:
        return unprocessable([error.fault])
    is_read = error.status != 413 or await discard_rest(http)
    return failure(error.status, str(error), None if is_read else {"connection": "close"})


async def _encoded(result: AiResult, *, framed: bool) -> Response:
    try:
        if not framed:
            return Response(await rendered(result.with_data_urls()), media_type="application/json")
        if not holds_large_text(result.body):
            return Response(b"".join(as_frames(result)), media_type=CONTENT_TYPE)
        frames = await asyncio.to_thread(as_frames, result)
        size = {"content-length": str(sum(map(len, frames)))}
        return StreamingResponse(_each(frames), media_type=CONTENT_TYPE, headers=size)
    except ValueError as error:
        # The pipeline's own doing, while a ValueError of its is the request's.
        raise RuntimeError(f"the answer is no JSON: {error}") from error


async def _each(frames: list[bytes]) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame


async def _as_fastapi_says(_: Request, error: Exception) -> Response:
    """An unknown path, another method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
