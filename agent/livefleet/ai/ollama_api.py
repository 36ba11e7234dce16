"""An Ollama server's HTTP API, as far as it is needed to serve a model with it.

Source: Ollama `docs/api.md` (tags, ps, pull, chat). Long answers are JSON objects, one a line.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from livefleet.ai.chat import Finish
from livefleet.kernel import Transient

__all__ = ["ChatPiece", "OllamaApi", "OllamaFailed", "Pulling", "full_tag"]

_MAX_LINE: Final = 1_000_000  # bytes
_FOREVER: Final = -1  # `keep_alive`: until the server ends


class OllamaFailed(Transient):
    """The server did not do it. `status`: its own, 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Pulling:
    """How far a pull has come."""

    what: str  # Ollama's words, such as `pulling manifest`
    done: int = 0  # bytes of the file under way
    total: int = 0  # 0: not told


@dataclass(frozen=True, slots=True)
class ChatPiece:
    """A bit of an answer; the last has a finish and the tokens of it all."""

    text: str
    finish: Finish | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class OllamaApi:
    """Speaks to one server. One event loop's property; closes its connections when left."""

    def __init__(self, url: str, *, token: str | None, quick_s: float, silence_s: float) -> None:
        """`quick_s`: patience for answers that need no work. `silence_s`: between two lines of a long one."""
        self._url = url
        self._silence_s = silence_s
        self._long = httpx.Timeout(silence_s, connect=quick_s)
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=quick_s,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def pulled(self) -> frozenset[str]:
        """Tags of the models on the server's disk. Raises OllamaFailed."""
        return frozenset(model.name for model in (await self._models("/api/tags")).models)

    async def loaded(self) -> Mapping[str, int]:
        """Models in the server's memory, with the bytes of GPU memory that each takes. Raises OllamaFailed."""
        return {model.name: model.size_vram for model in (await self._models("/api/ps")).models}

    async def pull(self, tag: str) -> AsyncGenerator[Pulling, None]:
        """Have the server fetch a model; it goes on where it stopped last. Raises OllamaFailed."""
        async with aclosing(self._lines("/api/pull", {"model": tag, "stream": True})) as lines:
            async for line in lines:
                told = _read(_Pull, line)
                if told.status == "success":
                    return
                yield Pulling(told.status, told.completed, told.total)
        raise OllamaFailed(f"{self._url} broke off pulling {tag}")

    async def chat(
        self, tag: str, messages: list[Any], options: Mapping[str, Any], *, keep: bool
    ) -> AsyncGenerator[ChatPiece, None]:
        """An answer bit by bit; leaving it stops the server's computing. `keep`: the model stays loaded after it.

        Raises OllamaFailed.
        """
        asked = {"model": tag, "messages": messages, "options": dict(options), "stream": True}
        kept = {"keep_alive": _FOREVER} if keep else {}
        async with aclosing(self._lines("/api/chat", asked | kept)) as lines:
            async for line in lines:
                told = _read(_Chat, line)
                if told.done:
                    finish = Finish.LENGTH if told.done_reason == "length" else Finish.STOP
                    yield ChatPiece(told.message.content, finish, told.prompt_eval_count, told.eval_count)
                    return
                yield ChatPiece(told.message.content)
        raise OllamaFailed(f"{self._url} broke off an answer of {tag}")

    async def _models(self, path: str) -> "_Models":
        with self._losses():
            reply = await self._http.get(path)
        if not reply.is_success:
            raise OllamaFailed(f"{self._url}{path} answered {reply.status_code}", reply.status_code)
        return _read(_Models, reply.text)

    async def _lines(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        with self._losses():
            async with self._http.stream("POST", path, json=body, timeout=self._long) as reply:
                if not reply.is_success:
                    raise OllamaFailed(_reason(await reply.aread(), reply.status_code), reply.status_code)
                async for line in _bounded_lines(reply):
                    yield line

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise OllamaFailed(f"{self._url} said nothing for too long ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise OllamaFailed(f"{self._url}: {error or type(error).__name__}") from error


def full_tag(tag: str) -> str:
    """As the server lists it: a name without a tag means `latest`."""
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


async def _bounded_lines(reply: httpx.Response) -> AsyncGenerator[str, None]:
    rest = b""
    async for data in reply.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _MAX_LINE:
            raise OllamaFailed(f"{reply.url} sent a line of more than {_MAX_LINE} bytes")
        for line in lines:
            if line.strip():
                yield line.decode(errors="replace")
    if rest.strip():
        yield rest.decode(errors="replace")


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    error: str = ""


class _Model(BaseModel):
    name: str
    size_vram: int = 0


class _Models(_Told):
    models: list[_Model] = Field(default=[], max_length=100_000)


class _Pull(_Told):
    status: str = ""
    total: int = 0
    completed: int = 0


class _Said(BaseModel):
    content: str = ""


class _Chat(_Told):
    message: _Said = _Said()
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: int = 0
    eval_count: int = 0


T = TypeVar("T", bound=_Told)


def _read(shape: type[T], line: str) -> T:
    try:
        told = shape.model_validate_json(line)
    except ValidationError as error:
        raise OllamaFailed(f"no answer of an Ollama server: {line[:100]!r}") from error
    if told.error:
        raise OllamaFailed(told.error)
    return told


def _reason(body: bytes, status: int) -> str:
    try:
        return str(from_json(body)["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return f"answered {status} without a reason"
