"""An Ollama server as its API documentation tells of it: real sockets, canned words, and what can go wrong with one.

Source: Ollama `docs/api.md`: tags, ps, pull, chat. Long answers are JSON objects, one a line.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LAYER = "sha256:dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77af9f7ccdff"
SIZE = 2_019_377_376
VRAM = 3_276_537_856


class OllamaServer:
    """What it has, and what it does, can be changed while it runs."""

    def __init__(self, *, on_disk: set[str] | None = None, hub: set[str] | None = None, token: str = "") -> None:
        self.on_disk = on_disk or set()
        self.hub = hub or set()  # what it can pull
        self.in_memory: set[str] = set()
        self.words = ["Par", "is", "."]
        self.done_reason = "stop"
        self.asked: list[Mapping[str, Any]] = []  # chats
        self.pulls = self.cancelled = 0
        self.breaks = False  # the connection goes once in the middle of a pull or chat
        self.chat_fails = ""  # an error after the first word
        self.is_ill = False  # 500 to everything
        self.hold = asyncio.Event()  # pulls and chats stop halfway until it is set
        self.hold.set()
        self._token = token

    def app(self) -> Starlette:
        routes = {
            "tags": (self._tags, "GET"),
            "ps": (self._ps, "GET"),
            "pull": (self._pull, "POST"),
            "chat": (self._chat, "POST"),
        }
        return Starlette(
            routes=[Route(f"/api/{path}", answer, methods=[method]) for path, (answer, method) in routes.items()]
        )

    def _refusal(self, http: Request) -> Response | None:
        if self._token and http.headers.get("authorization") != f"Bearer {self._token}":
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse({"error": "llama runner process has terminated"}, 500) if self.is_ill else None

    async def _tags(self, http: Request) -> Response:
        models = [{"name": tag, "model": tag, "size": SIZE, "details": {"format": "gguf"}} for tag in self.on_disk]
        return self._refusal(http) or JSONResponse({"models": models})

    async def _ps(self, http: Request) -> Response:
        models = [{"name": tag, "model": tag, "size": SIZE, "size_vram": VRAM} for tag in self.in_memory]
        return self._refusal(http) or JSONResponse({"models": models})

    async def _pull(self, http: Request) -> Response:
        tag = (await http.json())["model"]
        self.pulls += 1
        return self._refusal(http) or StreamingResponse(self._pulling(tag), media_type="application/x-ndjson")

    async def _pulling(self, tag: str) -> AsyncIterator[str]:
        yield _line(status="pulling manifest")
        if tag not in self.hub:
            yield _line(error="pull model manifest: file does not exist")
            return
        for share in (0, 0.21, 0.22, 0.5):
            yield _line(status=f"pulling {LAYER[7:19]}", digest=LAYER, total=SIZE, completed=int(SIZE * share))
        await self.hold.wait()
        self._break()
        yield _line(status=f"pulling {LAYER[7:19]}", digest=LAYER, total=SIZE, completed=SIZE)
        yield _line(status="verifying sha256 digest")
        self.on_disk.add(tag)
        yield _line(status="success")

    async def _chat(self, http: Request) -> Response:
        asked = await http.json()
        if refusal := self._refusal(http):
            return refusal
        if asked["model"] not in self.on_disk:
            return JSONResponse({"error": f"model '{asked['model']}' not found"}, 404)
        self.asked.append(asked)
        self.in_memory.add(asked["model"])
        return StreamingResponse(self._answer(asked["model"]), media_type="application/x-ndjson")

    async def _answer(self, tag: str) -> AsyncIterator[str]:
        try:
            for word in self.words:
                yield _line(model=tag, created_at=_NOW, message={"role": "assistant", "content": word}, done=False)
                if self.chat_fails:
                    yield _line(error=self.chat_fails)
                    return
                await self.hold.wait()
                self._break()
            yield _line(
                model=tag, created_at=_NOW, message={"role": "assistant", "content": ""}, done=True,
                done_reason=self.done_reason, total_duration=4883583458, prompt_eval_count=26,
                eval_count=len(self.words),
            )  # fmt: skip
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def _break(self) -> None:
        if self.breaks:
            self.breaks = False
            raise ConnectionError("the cable is out")


_NOW = "2026-11-26T12:00:00.000000Z"


def _line(**told: Any) -> str:
    return json.dumps(told) + "\n"
