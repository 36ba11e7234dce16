"""One runner's HTTP API from the pool's side."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import BaseModel, ValidationError

from livefleet.ai.errors import RunnerHung, RunnerRefused
from livefleet.ai.models import ImageResult, TextToImageRequest, images_from_json
from livefleet.ai.watch import RunnerHealth
from livefleet.spec import Pipeline

__all__ = ["RunnerClient"]

_NAMES = {"segment-anything-2": "segment anything 2", "llm": "LLM"}
_WRAPPED = frozenset({400, 401, 415, 500})


class RunnerClient:
    """Speaks over the runner's unix socket. One connection a call: a kept one may be dead when it is needed."""

    def __init__(self, socket: Path, pipeline: Pipeline, *, health_timeout_s: float, request_limit_s: float) -> None:
        self._pipeline = pipeline
        self._name = _NAMES.get(pipeline, pipeline.value)
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

    async def text_to_image(self, request: TextToImageRequest) -> tuple[ImageResult, ...]:
        """Have the images made. Raises RunnerRefused (or RunnerHung) with the text for gateways."""
        try:
            reply = await self._http.post(
                f"/{self._pipeline}",
                content=request.model_dump_json(exclude_none=True).encode(),
                headers={"Content-Type": "application/json"},
                timeout=self._request_limit_s,
            )
        except httpx.TimeoutException as error:
            raise RunnerHung(f"{self._name} container did not answer within {self._request_limit_s:g} s") from error
        except httpx.HTTPError as error:
            raise RunnerRefused(f"{self._name} container went away during the request") from error
        if reply.status_code != 200:
            raise RunnerRefused(self._wrapped(reply))
        try:
            return images_from_json(reply.content)
        except ValueError as error:
            raise RunnerRefused(f"{self._name} container sent no images: {error}") from error

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


class _Health(BaseModel):
    status: str


class _Version(BaseModel):
    version: str


class _Detail(BaseModel):
    msg: str


class _Failure(BaseModel):
    detail: _Detail
