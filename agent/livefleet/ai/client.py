"""One runner's HTTP API from the pool's side."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import BaseModel, ValidationError

from livefleet.ai.errors import RunnerHung, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.parsing import json_object
from livefleet.ai.pipelines import kind_of
from livefleet.ai.watch import RunnerHealth
from livefleet.spec import Pipeline

__all__ = ["RunnerClient"]

_WRAPPED = frozenset({400, 401, 415, 500})


class RunnerClient:
    """Speaks over the runner's unix socket. One connection a call: a kept one may be dead when it is needed."""

    def __init__(self, socket: Path, pipeline: Pipeline, *, health_timeout_s: float, request_limit_s: float) -> None:
        self._name = kind_of(pipeline).title
        self._health_timeout_s = health_timeout_s
        self._request_limit_s = request_limit_s
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_keepalive_connections=0)),
            base_url="http://runner",
            timeout=health_timeout_s,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def health(self) -> RunnerHealth:
        """What the runner says of itself; SILENT for anything but a proper answer."""
        try:
            reply = await self._http.get("/health")
            return RunnerHealth(_Health.model_validate_json(reply.content).status) if reply.is_success else _SILENT
        except (httpx.HTTPError, ValueError):
            return _SILENT

    async def version(self) -> str:
        """The runner's version; empty when it does not tell."""
        try:
            reply = await self._http.get("/version")
            return _Version.model_validate_json(reply.content).version if reply.is_success else ""
        except (httpx.HTTPError, ValidationError):
            return ""

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused (or RunnerHung) with the text for gateways."""
        with self._losses():
            reply = await self._http.send(self._request(job))
        if reply.status_code != 200:
            raise RunnerRefused(self._wrapped(reply))
        try:
            return AiResult.of_data_urls(json_object(reply.content))
        except ValueError as error:
            raise RunnerRefused(f"{self._name} container sent no result: {error}") from error

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """The chunks of an answer, up to the one that says why it ends. Raises as `run`."""
        with self._losses():
            reply = await self._http.send(self._request(job), stream=True)
            try:
                if reply.status_code != 200:
                    await reply.aread()
                    raise RunnerRefused(self._wrapped(reply))
                async for line in reply.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or data == "[DONE]":
                        continue
                    yield self._chunk(data)
            finally:
                await reply.aclose()

    def _request(self, job: AiJob) -> httpx.Request:
        kind = kind_of(job.pipeline)
        timeout = httpx.Timeout(self._request_limit_s, connect=self._health_timeout_s)
        if kind.upload is None:
            return self._http.build_request("POST", f"/{job.pipeline}", json=dict(job.fields), timeout=timeout)
        return self._http.build_request(
            "POST",
            f"/{job.pipeline}",
            data={name: _form_value(value) for name, value in job.fields.items()},
            files={kind.upload.field: (kind.upload.field, job.upload or b"", "application/octet-stream")},
            timeout=timeout,
        )

    def _chunk(self, data: str) -> Mapping[str, Any]:
        try:
            chunk = json_object(data.encode())
        except ValueError as error:
            raise RunnerRefused(f"{self._name} container sent a broken chunk: {error}") from error
        if "error" in chunk:
            raise RunnerRefused(f"{self._name} container failed: {chunk['error']}")
        return chunk

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise RunnerHung(f"{self._name} container did not answer within {self._request_limit_s:g} s") from error
        except httpx.HTTPError as error:
            raise RunnerRefused(f"{self._name} container went away during the request") from error

    def _wrapped(self, reply: httpx.Response) -> str:
        """The Go worker's wording of a runner's error."""
        code = reply.status_code
        try:
            body = json.loads(reply.content)
        except ValueError:
            return f"{self._name} container returned {code} without a reason"
        if code in _WRAPPED:
            try:
                return f"{self._name} container returned {code}: {_Failure.model_validate(body).detail.msg}"
            except ValidationError:
                pass
        return f"{self._name} container returned {code}: {json.dumps(body, separators=(',', ':'))}"


_SILENT = RunnerHealth.SILENT


def _form_value(value: Any) -> str:
    """As Go's workers write it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6f}"
        case str():
            return value
        case _:
            return json.dumps(value, separators=(",", ":"))


class _Health(BaseModel):
    status: str


class _Version(BaseModel):
    version: str


class _Detail(BaseModel):
    msg: str


class _Failure(BaseModel):
    detail: _Detail
