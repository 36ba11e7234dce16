"""One runner's HTTP API from the pool's side."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import BaseModel, ValidationError

from livefleet.ai.errors import RunnerHung, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.json_text import LARGE_TEXT
from livefleet.ai.parsing import json_object
from livefleet.ai.pipelines import kind_of
from livefleet.ai.result_frames import CONTENT_TYPE, of_frames
from livefleet.ai.runner_memory import RunnerMemory
from livefleet.ai.settings import KEEP_CONNECTIONS_S
from livefleet.ai.watch import RunnerHealth
from livefleet.spec import Pipeline

__all__ = ["RunnerClient"]

_WRAPPED = frozenset({400, 401, 415, 500})
_TOO_LARGE = "file too large; max file size is 50MB"
_KEPT = 32
"""Idle connections to a runner of ours; more than jobs at once are not kept either."""


class RunnerClient:
    """Speaks to the runner at a unix socket of ours, or to any other at its base URL.

    Connections to our own runner are kept: it closes none before we do, and a client lives no longer than the process
    at its other end. Elsewhere it is one connection a call: a kept one may be dead when it is needed.
    """

    def __init__(
        self,
        where: Path | str,
        pipeline: Pipeline,
        *,
        health_timeout_s: float,
        request_limit_s: float,
        token: str | None = None,
    ) -> None:
        self._kind = kind_of(pipeline)
        self._name = self._kind.title
        self._health_timeout_s = health_timeout_s
        self._request_limit_s = request_limit_s
        socket, url, kept = (str(where), "http://runner", _KEPT) if isinstance(where, Path) else (None, where, 0)
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=socket,
                # The host's own store, where an operator puts the authority of his own network.
                verify=ssl.create_default_context() if url.startswith("https:") else False,
                limits=httpx.Limits(
                    max_connections=None, max_keepalive_connections=kept, keepalive_expiry=KEEP_CONNECTIONS_S
                ),
            ),
            base_url=url,
            headers=_headers(token, framed=socket is not None),
            timeout=health_timeout_s,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def health(self, within_s: float | None = None) -> RunnerHealth:
        """What the runner says of itself; SILENT for anything but a proper answer, LATE where none came in time."""
        try:
            reply = await self._http.get("/health", timeout=within_s or self._health_timeout_s)
            return RunnerHealth(_Health.model_validate_json(reply.content).status) if reply.is_success else _SILENT
        except httpx.ReadTimeout:
            return RunnerHealth.LATE
        except (httpx.HTTPError, ValueError):
            return _SILENT

    async def version(self) -> str:
        """The runner's version; empty when it does not tell."""
        try:
            reply = await self._http.get("/version")
            return _Version.model_validate_json(reply.content).version if reply.is_success else ""
        except (httpx.HTTPError, ValidationError):
            return ""

    async def memory(self) -> RunnerMemory | None:
        """What the runner holds; None when it does not tell, as runners that are not ours."""
        try:
            reply = await self._http.get("/livefleet/memory")
            found = _Memory.model_validate_json(reply.content) if reply.is_success else None
        except (httpx.HTTPError, ValidationError):
            return None
        return None if found is None else RunnerMemory(found.loaded, found.peak)

    async def gpu_info(self) -> Mapping[str, Any]:
        """The runner's GPUs as ai-runner tells of them; empty when it does not."""
        try:
            reply = await self._http.get("/hardware/info")
            return _Hardware.model_validate_json(reply.content).gpu_info if reply.is_success else {}
        except (httpx.HTTPError, ValidationError):
            return {}

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused (or RunnerHung) with the text for gateways."""
        with self._losses():
            reply = await self._http.send(self._request(job))
        if reply.status_code != 200:
            raise RunnerRefused(self._wrapped(reply))
        try:
            # Of a large answer in a thread: it takes long enough for others to notice.
            return _result_of(reply) if len(reply.content) <= LARGE_TEXT else await asyncio.to_thread(_result_of, reply)
        except ValueError as error:
            raise RunnerRefused(f"{self._name} container sent no result: {error}") from error

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """The chunks of an answer, up to the one that says why it ends. Raises as `run`."""
        with self._losses():
            reply = await self._http.send(self._request(job), stream=True)
            try:
                if reply.status_code != 200:
                    await reply.aread()
                    raise RunnerRefused(self._wrapped(reply, streamed=True))
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

    def _wrapped(self, reply: httpx.Response, *, streamed: bool = False) -> str:
        """The Go worker's wording of a runner's error."""
        code = reply.status_code
        if streamed and code != 400:  # which gateways have to know as their client's fault
            return f"unexpected status code: {code}"
        if code == 413:
            return f"{self._name} container returned 413{self._kind.too_large_colon} {_TOO_LARGE}"
        try:
            body = json.loads(reply.content)
        except (ValueError, RecursionError):
            return f"{self._name} container returned {code} without a reason"
        if code in _WRAPPED:
            try:
                return f"{self._name} container returned {code}: {_Failure.model_validate(body).detail.msg}"
            except ValidationError:
                pass
        return f"{self._name} container returned {code}: {json.dumps(body, separators=(',', ':'))}"


_SILENT = RunnerHealth.SILENT


def _result_of(reply: httpx.Response) -> AiResult:
    """Raises ValueError."""
    if reply.headers.get("content-type") == CONTENT_TYPE:
        return of_frames(reply.content)
    return AiResult.of_data_urls(json_object(reply.content))


def _headers(token: str | None, *, framed: bool) -> dict[str, str]:
    accept = {"accept": CONTENT_TYPE} if framed else {}
    return accept if token is None else accept | {"authorization": f"Bearer {token}"}


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


class _Memory(BaseModel):
    loaded: int
    peak: int


class _Hardware(BaseModel):
    gpu_info: dict[str, Any]


class _Detail(BaseModel):
    msg: str


class _Failure(BaseModel):
    detail: _Detail
