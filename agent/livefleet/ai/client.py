"""One runner's HTTP API from the pool's side."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from livefleet.ai.errors import RunnerHung, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.json_text import LARGE_TEXT
from livefleet.ai.parsing import json_object
from livefleet.ai.pipelines import kind_of
from livefleet.ai.result_frames import CONTENT_TYPE, of_frames
from livefleet.ai.runner_memory import RunnerMemory
from livefleet.ai.settings import KEEP_CONNECTIONS_S
from livefleet.ai.watch import RunnerHealth
from livefleet.kernel.late import late
from livefleet.spec import Pipeline

if TYPE_CHECKING:
    import aiohttp
else:
    aiohttp = late("aiohttp")  # only nodes that serve models use it, and 9 MB of memory are 9 MB

__all__ = ["RunnerClient"]

_WRAPPED = frozenset({400, 401, 415, 500})
_TOO_LARGE = "file too large; max file size is 50MB"
_MOST_AT_ONCE: Final = 1 << 20
"""Bytes of a body that go to the socket in one piece; longer ones in many, so that others have their turn."""
_LONGEST_LINE: Final = 16 << 20
"""Bytes of one event of a stream."""


class RunnerClient:
    """Speaks to the runner at a unix socket of ours, or to any other at its base URL. An async context manager.

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
        self._where = where
        self._kind = kind_of(pipeline)
        self._name = self._kind.title
        self._health_timeout_s = health_timeout_s
        self._request_limit_s = request_limit_s
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        ours = isinstance(self._where, Path)
        self._session = aiohttp.ClientSession(
            "http://runner/" if ours else f"{str(self._where).rstrip('/')}/",
            connector=_kept(self._where) if isinstance(self._where, Path) else _single(self._where),
            headers=_headers(self._token, framed=ours),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout(self._health_timeout_s),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def health(self, within_s: float | None = None) -> RunnerHealth:
        """What the runner says of itself; SILENT for anything but a proper answer, LATE where none came in time."""
        try:
            found = await self._get("/health", within_s or self._health_timeout_s)
            return _SILENT if found is None else RunnerHealth(_Health.model_validate_json(found).status)
        except aiohttp.SocketTimeoutError:
            return RunnerHealth.LATE
        except (aiohttp.ClientError, ValueError):
            return _SILENT

    async def version(self) -> str:
        """The runner's version; empty when it does not tell."""
        try:
            found = await self._get("/version")
            return "" if found is None else _Version.model_validate_json(found).version
        except (aiohttp.ClientError, ValidationError):
            return ""

    async def memory(self) -> RunnerMemory | None:
        """What the runner holds; None when it does not tell, as runners that are not ours."""
        try:
            answer = await self._get("/livefleet/memory")
            found = None if answer is None else _Memory.model_validate_json(answer)
        except (aiohttp.ClientError, ValidationError):
            return None
        return None if found is None else RunnerMemory(found.loaded, found.peak)

    async def gpu_info(self) -> Mapping[str, Any]:
        """The runner's GPUs as ai-runner tells of them; empty when it does not."""
        try:
            found = await self._get("/hardware/info")
            return {} if found is None else _Hardware.model_validate_json(found).gpu_info
        except (aiohttp.ClientError, ValidationError):
            return {}

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused (or RunnerHung) with the text for gateways."""
        with self._losses():
            async with self._ask(job) as reply:
                content = await reply.read()
        if reply.status != 200:
            raise RunnerRefused(self._wrapped(reply.status, content))
        framed = reply.content_type == CONTENT_TYPE
        try:
            # Of a large answer in a thread: it takes long enough for others to notice.
            if len(content) > LARGE_TEXT:
                return await asyncio.to_thread(_result_of, content, framed=framed)
            return _result_of(content, framed=framed)
        except ValueError as error:
            raise RunnerRefused(f"{self._name} container sent no result: {error}") from error

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """The chunks of an answer, up to the one that says why it ends. Raises as `run`."""
        with self._losses():
            async with self._ask(job) as reply:
                if reply.status != 200:
                    raise RunnerRefused(self._wrapped(reply.status, await reply.read(), streamed=True))
                async for line in _lines(reply.content):
                    data = line.removeprefix(b"data:").strip()
                    if not line.startswith(b"data:") or data == b"[DONE]":
                        continue
                    yield self._chunk(data)

    async def _get(self, path: str, within_s: float | None = None) -> bytes | None:
        """The body of an answer that says yes. Raises aiohttp.ClientError."""
        timeout = self._timeout(within_s or self._health_timeout_s)
        async with self._http.get(path.removeprefix("/"), timeout=timeout, allow_redirects=False) as reply:
            content = await reply.read()
        return content if 200 <= reply.status < 300 else None

    def _ask(self, job: AiJob) -> "AbstractAsyncContextManager[aiohttp.ClientResponse]":
        kind = kind_of(job.pipeline)
        timeout = self._timeout(self._request_limit_s)
        if kind.upload is None:
            body = json.dumps(dict(job.fields), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            data = body if len(body) <= _MOST_AT_ONCE else io.BytesIO(body)
            headers = {"content-type": "application/json"}
            return self._http.post(job.pipeline, data=data, headers=headers, timeout=timeout, allow_redirects=False)
        form = aiohttp.FormData()
        for name, value in job.fields.items():
            form.add_field(name, _form_value(value))
        upload = io.BytesIO(job.upload or b"")
        form.add_field(kind.upload.field, upload, filename=kind.upload.field, content_type="application/octet-stream")
        return self._http.post(job.pipeline, data=form, timeout=timeout, allow_redirects=False)

    @property
    def _http(self) -> "aiohttp.ClientSession":
        assert self._session is not None
        return self._session

    def _timeout(self, read_s: float) -> "aiohttp.ClientTimeout":
        return aiohttp.ClientTimeout(total=None, sock_connect=self._health_timeout_s, sock_read=read_s)

    def _chunk(self, data: bytes) -> Mapping[str, Any]:
        try:
            chunk = json_object(data)
        except ValueError as error:
            raise RunnerRefused(f"{self._name} container sent a broken chunk: {error}") from error
        if "error" in chunk:
            raise RunnerRefused(f"{self._name} container failed: {chunk['error']}")
        return chunk

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except aiohttp.ServerTimeoutError as error:
            raise RunnerHung(f"{self._name} container did not answer within {self._request_limit_s:g} s") from error
        except aiohttp.ClientError as error:
            raise RunnerRefused(f"{self._name} container went away during the request") from error

    def _wrapped(self, code: int, content: bytes, *, streamed: bool = False) -> str:
        """The Go worker's wording of a runner's error."""
        if streamed and code != 400:  # which gateways have to know as their client's fault
            return f"unexpected status code: {code}"
        if code == 413:
            return f"{self._name} container returned 413{self._kind.too_large_colon} {_TOO_LARGE}"
        try:
            body = from_json(content)
        except ValueError:
            return f"{self._name} container returned {code} without a reason"
        if code in _WRAPPED:
            try:
                return f"{self._name} container returned {code}: {_Failure.model_validate(body).detail.msg}"
            except ValidationError:
                pass
        return f"{self._name} container returned {code}: {json.dumps(body, separators=(',', ':'))}"


_SILENT = RunnerHealth.SILENT


def _kept(socket: Path) -> "aiohttp.UnixConnector":
    return aiohttp.UnixConnector(str(socket), limit=0, keepalive_timeout=KEEP_CONNECTIONS_S)


def _single(url: str) -> "aiohttp.TCPConnector":
    """The authorities are the host's own, where an operator puts that of his own network."""
    is_tls = url.startswith("https:")
    return aiohttp.TCPConnector(limit=0, force_close=True, ssl=ssl.create_default_context() if is_tls else True)


async def _lines(content: "aiohttp.StreamReader") -> AsyncIterator[bytes]:
    """Raises RunnerRefused for one that does not end."""
    rest = b""
    async for piece in content.iter_any():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > _LONGEST_LINE:
            raise RunnerRefused(f"the runner sent an event of more than {_LONGEST_LINE >> 20} MiB")
    if rest:
        yield rest


def _result_of(content: bytes, *, framed: bool) -> AiResult:
    """Raises ValueError."""
    return of_frames(content) if framed else AiResult.of_data_urls(json_object(content))


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
