"""ai-runner's HTTP API as a Starlette application, without torch: the loaded model is handed in."""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, cast

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from livefleet.ai.errors import Cancelled, DeadlinePassed, InferenceFailed, OutOfMemory
from livefleet.ai.forms import BadForm, read_fields
from livefleet.ai.kinds import JobFields, Kind, Model, StreamingModel
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.ai.watch import RunnerHealth

__all__ = ["RunnerApi"]

log = logging.getLogger(__name__)

_MAX_SEED = 2**32 - 1


class RunnerApi:
    """The application and the little state it has: loading, then one model."""

    def __init__(self, settings: RunnerSettings, kind: Kind[Any], threads: Executor, rng: random.Random) -> None:
        self._settings = settings
        self._kind = kind
        self._threads = threads
        self._rng = rng
        self._model: Model[Any] | None = None

    def loaded(self, model: Model[Any]) -> None:
        """From now on `/health` says OK and jobs are taken."""
        self._model = model

    def app(self) -> Starlette:
        """The ASGI application; every route answers with and without a trailing slash."""
        routes = (
            ("/health", self._health, "GET"),
            ("/hardware/info", self._hardware, "GET"),
            ("/version", self._version, "GET"),
            (f"/{self._settings.pipeline}", self._job, "POST"),
        )
        return Starlette(
            routes=[
                Route(path, handler, methods=[method])
                for plain, handler, method in routes
                for path in (plain, f"{plain}/")
            ]
        )

    async def _health(self, _: Request) -> Response:
        health = RunnerHealth.LOADING if self._model is None else RunnerHealth.OK
        return JSONResponse({"status": health.value})

    async def _hardware(self, _: Request) -> Response:
        gpu_info = {} if self._model is None else self._model.gpu_info()
        return JSONResponse(self._names() | {"gpu_info": gpu_info})

    async def _version(self, _: Request) -> Response:
        return JSONResponse(self._names() | {"version": self._settings.version})

    def _names(self) -> dict[str, str]:
        return {"pipeline": self._settings.pipeline.value, "model_id": self._settings.model_id}

    async def _job(self, http: Request) -> Response:
        try:
            given, upload = await read_fields(http, self._kind)
            fields: JobFields = self._kind.runner_fields.model_validate(given)
        except BadForm as error:
            return _failure(error.status, str(error)) if error.status != 422 else _unprocessable([error.fault])
        except ValidationError as error:
            return _unprocessable(error.errors(include_url=False, include_context=False, include_input=False))
        if fault := self._fault_of(fields, upload):
            return _failure(400, fault)
        if self._model is None:
            return _failure(500, "The model is still loading.")
        stop = Stop(time.monotonic() + self._settings.request_timeout_s)
        if self._kind.streams(fields):
            return StreamingResponse(self._chunks(http, fields, stop), media_type="text/event-stream")
        seed = getattr(fields, "seed", None)
        if seed is None:
            seed = self._rng.randint(0, _MAX_SEED)
        job = asyncio.get_running_loop().run_in_executor(self._threads, self._model.run, fields, upload, seed, stop)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_cancel_when_gone(http, stop))
            try:
                result = await job
            except Exception as error:  # noqa: BLE001 -- libraries raise anything; each becomes ai-runner's answer
                return self._answer_to(error)
            finally:
                watch.cancel()
        return JSONResponse(result.with_data_urls())

    async def _chunks(self, http: Request, fields: JobFields, stop: Stop) -> AsyncIterator[str]:
        """Server-sent events, `[DONE]` at the end; an error is the last chunk."""
        assert self._model is not None
        loop = asyncio.get_running_loop()
        chunks: Iterator[Mapping[str, Any]] = cast("StreamingModel[Any]", self._model).stream(fields, stop)
        try:
            while (chunk := await loop.run_in_executor(self._threads, next, chunks, None)) is not None:
                yield f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"
            yield "data: [DONE]\n\n"
        except Exception as error:  # noqa: BLE001 -- as above
            log.warning("ai.stream_failed", extra={"error": f"{type(error).__name__}: {error}"})
            yield f"data: {json.dumps({'error': str(error)})}\n\n"
        finally:
            stop.cancel()

    def _fault_of(self, fields: JobFields, upload: bytes | None) -> str | None:
        own, asked = self._settings.model_id, getattr(fields, self._kind.model_field)
        if asked not in {"", own}:
            return f"pipeline configured with {own} but called with {asked}{self._kind.dot}"
        return self._kind.fault(fields, upload)

    def _answer_to(self, error: Exception) -> Response:
        """ai-runner's answer to what a pipeline raised."""
        match error:
            case OutOfMemory():
                answer = _failure(500, self._kind.out_of_memory)
            case DeadlinePassed() | Cancelled():
                answer = _failure(500, str(error))
            case InferenceFailed():
                answer = _failure(400, f"{error}.")
            case ValueError():
                answer = _failure(400, self._kind.failed)
            case _ if "out of memory" in str(error).lower():
                answer = _failure(500, "Out of memory.")
            case _:
                answer = _failure(500, self._kind.failed)
        log.warning("ai.job_failed", extra={"error": f"{type(error).__name__}: {error}", "status": answer.status_code})
        return answer


async def _cancel_when_gone(http: Request, stop: Stop) -> None:
    """After the body, the next thing that a client can say is that it is gone."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
    stop.cancel()


def _failure(status: int, message: str) -> Response:
    return JSONResponse({"detail": {"msg": message}}, status)


def _unprocessable(faults: Any) -> Response:
    return JSONResponse({"detail": [fault | {"loc": ["body", *fault["loc"]]} for fault in faults]}, 422)
