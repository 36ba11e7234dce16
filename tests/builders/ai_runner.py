"""A runner that is not ours: an HTTP server that behaves as ai-runner's container does, with a canned model.

Its shapes and words are ai-runner 0.14.1's, for image-to-image (multipart) or llm (JSON, streams).
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

GPU_INFO = {"0": {"id": "GPU-5", "name": "H100", "memory_total": 9, "memory_free": 8, "major": 9, "minor": 0}}


class StockRunner:
    """What it answers can be changed while it runs."""

    def __init__(self, pipeline: str, model_id: str, *, token: str = "") -> None:
        self.pipeline = pipeline
        self.model_id = model_id
        self.status = "OK"
        self.failure: tuple[int, Any] | None = None
        self.asked: list[dict[str, Any]] = []
        self.at_once = self.most_at_once = self.cancelled = 0
        self.hold = asyncio.Event()  # jobs wait for it
        self.hold.set()
        self.silent = asyncio.Event()  # while set, nobody hears how it is
        self._token = token

    def app(self) -> Starlette:
        job = self._llm if self.pipeline == "llm" else self._image_to_image
        routes = {
            "/health": self._health, "/version": self._version, "/hardware/info": self._hardware
        }  # fmt: skip
        return Starlette(
            routes=[
                *(Route(path + slash, answer) for path, answer in routes.items() for slash in ("", "/")),
                *(Route(f"/{self.pipeline}{slash}", job, methods=["POST"]) for slash in ("", "/")),
            ]
        )

    async def _health(self, _: Request) -> Response:
        while self.silent.is_set():
            await asyncio.sleep(0.05)
        if self.status == "ERROR 500":
            return JSONResponse({"detail": {"msg": "Failed to retrieve pipeline status."}}, 500)
        return JSONResponse({"status": self.status})

    async def _version(self, _: Request) -> Response:
        return JSONResponse({"pipeline": self.pipeline, "model_id": self.model_id, "version": "0.14.1"})

    async def _hardware(self, _: Request) -> Response:
        return JSONResponse({"pipeline": self.pipeline, "model_id": self.model_id, "gpu_info": GPU_INFO})

    def _refusal(self, http: Request, model: str) -> Response | None:
        dot = "" if self.pipeline == "llm" else "."
        if self._token and http.headers.get("authorization") != f"Bearer {self._token}":
            return JSONResponse(
                {"detail": {"msg": f"Invalid bearer token{dot}"}}, 401, headers={"WWW-Authenticate": "Bearer"}
            )
        if model not in {"", self.model_id}:
            words = f"pipeline configured with {self.model_id} but called with {model}{dot}"
            return JSONResponse({"detail": {"msg": words}}, 400)
        if self.failure is not None:
            status, body = self.failure
            return Response(body, status) if isinstance(body, str) else JSONResponse(body, status)
        return None

    async def _image_to_image(self, http: Request) -> Response:
        async with http.form() as form:
            given = {name: value for name, value in form.items() if isinstance(value, str)}
            image = form["image"]
            given["image"] = (await image.read(), image.filename, image.content_type)
        if refusal := self._refusal(http, given.get("model_id", "")):
            return refusal
        self.asked.append(given)
        await self._work()
        url = f"data:image/png;base64,{base64.b64encode(given['image'][0]).decode()}"
        return JSONResponse({"images": [{"url": url, "seed": int(given.get("seed", 5)), "nsfw": False}]})

    async def _llm(self, http: Request) -> Response:
        given = await http.json()
        if refusal := self._refusal(http, given["model"]):
            return refusal
        self.asked.append(given)
        if not given.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris"}}
            return JSONResponse({"id": "x", "choices": [choice]})
        return StreamingResponse(self._chunks(), media_type="text/event-stream")

    async def _chunks(self) -> AsyncIterator[str]:
        try:
            for word, ending in (("Par", ""), ("is", "stop")):
                choice = {"index": 0, "finish_reason": ending, "delta": {"role": "assistant", "content": word}}
                yield f"data: {json.dumps({'id': 'x', 'choices': [choice]})}\n\n"
                await self.hold.wait()
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def _work(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.hold.wait()
        finally:
            self.at_once -= 1


@asynccontextmanager
async def serving(runner: StockRunner, *, port: int = 0, tls: tuple[Path, Path] | None = None) -> AsyncIterator[str]:
    """Its base URL while it serves. `tls`: certificate and key."""
    async with serving_app(runner.app(), port=port, tls=tls) as url:
        try:
            yield url
        finally:
            runner.hold.set()


@asynccontextmanager
async def serving_app(app: Starlette, *, port: int = 0, tls: tuple[Path, Path] | None = None) -> AsyncIterator[str]:
    """The same for any application, on this loop."""
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="off")
    if tls:
        config.ssl_certfile, config.ssl_keyfile = map(str, tls)
    config.load()
    server = uvicorn.Server(config)
    # Signals stay pytest's: only what `serve` does apart from them.
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server._serve())
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            (own,) = server.servers[0].sockets
            yield f"{'https://localhost' if tls else 'http://127.0.0.1'}:{own.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task
