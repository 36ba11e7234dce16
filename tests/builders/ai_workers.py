"""Both ends of the AI worker split as go-livepeer behaves, written by hand: nothing of our own translation is in them.

The orchestrator stands behind our front door's nginx only because some TLS port must take gRPC and HTTP/2 at once.
"""

import asyncio
import contextlib
import email.parser
import email.policy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc
import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livefleet.ai import AdvertisedModel, NoCapacity
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server import FrontDoor
from livefleet.wire.tls import ensure_certificate
from tests.builders.wire import MODEL, a_rng, free_port

SECRET = "test-only: how workers and orchestrator know each other"
BOUNDARY = "00112233445566778899"
TEXT_TO_IMAGE = 27
CAPABILITIES = {
    "text-to-image": 27,
    "image-to-image": 28,
    "image-to-video": 29,
    "upscale": 30,
    "audio-to-text": 31,
    "segment-anything-2": 32,
    "llm": 33,
    "image-to-text": 34,
    "text-to-speech": 36,
}
Files = Mapping[str, tuple[str, bytes]]  # content type and content by name


def reference_capabilities(
    models: dict[str, int], *, version: str = "0.9.1", runner_version: str = "0.14.1", capability: int = TEXT_TO_IMAGE
) -> pb.Capabilities:
    """As an AI worker tells them: the default bits beside its models with their capacities."""
    ids = [*range(13), 14, 26, capability]
    told = pb.Capabilities(bitstring=[sum(1 << i for i in ids)], capacities=dict.fromkeys(ids, 1), version=version)
    for model_id, capacity in models.items():
        model = told.constraints.PerCapability[capability].models[model_id]
        model.warm, model.capacity, model.runnerVersion = True, capacity, runner_version
    return told


class GoAiWorker:
    """One registered stream and an uploader that speaks HTTP/2 only. Use as an async context manager."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._stack = contextlib.AsyncExitStack()
        self.call: grpc.aio.UnaryStreamCall | None = None

    async def __aenter__(self) -> Self:
        self._channel = await open_channel(parse_endpoint(self._uri), timeout_s=20)
        self._stack.push_async_callback(self._channel.close, None)
        self._http = await self._stack.enter_async_context(
            httpx.AsyncClient(verify=False, http1=False, http2=True, timeout=30)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.call is not None:
            self.call.cancel()
        await self._stack.aclose()

    def register(self, models: dict[str, int] | None = None, *, secret: str = SECRET, hardware=(), **capabilities):
        """Open the stream; None for `models` sends no capabilities at all."""
        told = None if models is None else reference_capabilities(models, **capabilities)
        stub = self._channel.unary_stream(
            "/net.AIWorker/RegisterAIWorker",
            request_serializer=pb.RegisterAIWorkerRequest.SerializeToString,
            response_deserializer=pb.NotifyAIJob.FromString,
        )
        self.call = stub(pb.RegisterAIWorkerRequest(secret=secret, capabilities=told, hardware=hardware))
        return self.call

    async def job(self) -> pb.NotifyAIJob:
        """The next one."""
        async with asyncio.timeout(30):
            message = await self.call.read()
        assert message is not grpc.aio.EOF
        return message

    async def post(self, task_id: object, body, **headers: str) -> httpx.Response:
        """POST /aiResults with the exact headers, of which `headers` replaces some."""
        sent = {
            "Authorization": "Livepeer-AI-Worker-1.0",
            "Credentials": SECRET,
            "TaskId": str(task_id),
            "Pipeline": "text-to-image",
            "Content-Type": f"multipart/mixed; boundary={BOUNDARY}",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.post(f"{self._uri}/aiResults", content=body, headers=sent)

    async def upload(self, task_id: int, images: list[bytes]) -> httpx.Response:
        """A result, as Go's multipart writer forms it."""
        return await self.post(task_id, multipart_body(images))

    async def upload_result(self, job: pb.NotifyAIJob, told: object, files: Files | None = None) -> httpx.Response:
        """A result of any pipeline."""
        return await self.post(job.taskId, result_body(told, files or {}), Pipeline=job.AIJobData.pipeline)

    async def fetch(self, job: pb.NotifyAIJob) -> httpx.Response:
        """The job's input, as workers fetch it."""
        return await self._http.get(json.loads(job.AIJobData.requestData)["input_url"])

    def stream(self, job: pb.NotifyAIJob) -> "StreamUpload":
        """An answer that goes up event by event, over a connection of its own."""
        return StreamUpload(self._uri, job.taskId)


class StreamUpload:
    """One event stream under way. Use as an async context manager; its end closes the body as it should end."""

    def __init__(self, uri: str, task_id: int) -> None:
        self._uri = uri
        self._task_id = task_id
        self._events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(
            httpx.AsyncClient(verify=False, http1=False, http2=True, timeout=30)
        )
        headers = {
            "Authorization": "Livepeer-AI-Worker-1.0",
            "Credentials": SECRET,
            "TaskId": str(self._task_id),
            "Pipeline": "llm",
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache",
        }
        posting = self._http.post(f"{self._uri}/aiResults", content=self._body(), headers=headers)
        self._posting = asyncio.create_task(posting)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._posting.done():
            self._posting.cancel()
        with contextlib.suppress(httpx.HTTPError, asyncio.CancelledError):
            await self._posting
        await self._stack.aclose()

    def send(self, chunk: object) -> None:
        self.send_raw(f"data: {json.dumps(chunk)}\n\n".encode())

    def send_raw(self, data: bytes) -> None:
        self._events.put_nowait(data)

    async def close(self) -> httpx.Response:
        """End the body; the answer."""
        self._events.put_nowait(None)
        return await self._posting

    async def die(self) -> None:
        """Break the connection, as a killed process does."""
        await self._http.aclose()

    async def _body(self):
        while (event := await self._events.get()) is not None:
            yield event


def multipart_body(images: list[bytes], *, names: list[str] | None = None) -> bytes:
    """File parts, then the JSON part that names them."""
    names = names or [f"{number:08x}.png" for number in range(len(images))]
    told = {"images": [{"nsfw": False, "seed": 7 + n, "url": name} for n, name in enumerate(names)]}
    return result_body(told, {name: ("image/png", image) for name, image in zip(names, images, strict=True)})


def result_body(told: object, files: Files) -> bytes:
    """Likewise, of any pipeline."""
    pieces = []
    for name, (content_type, content) in files.items():
        head = f"Content-Disposition: attachment; filename={name}\r\nContent-Length: {len(content)}"
        pieces += [f"--{BOUNDARY}\r\n{head}\r\nContent-Type: {content_type}\r\n\r\n".encode(), content, b"\r\n"]
    told = json.dumps(told)
    pieces.append(f"--{BOUNDARY}\r\nContent-Length: {len(told)}\r\nContent-Type: application/json\r\n\r\n".encode())
    pieces.append(f"{told}\r\n--{BOUNDARY}--\r\n".encode())
    return b"".join(pieces)


@dataclass
class Upload:
    """What came in at /aiResults."""

    headers: dict[str, str]
    error: str | None = None
    told: dict | None = None  # the JSON part
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # content type and content by name
    events: asyncio.Queue[dict | None] = field(default_factory=asyncio.Queue)  # as they come in; None at the end

    @property
    def images(self) -> list[tuple[bytes, dict]]:
        """Content and JSON entry of each picture."""
        return [(self.files[entry["url"]][1], entry) for entry in self.told["images"]]


class ReferenceOrchestrator:
    """An orchestrator that takes AI workers by go-livepeer's rules. Use as an async context manager."""

    def __init__(self, run_dir: Path, *, secret: str = SECRET, version: str = "0.9.1") -> None:
        self.port = free_port()
        self._run_dir = run_dir
        self._secret = secret
        self._version = version
        self.registered: list[pb.RegisterAIWorkerRequest] = []
        self.uploads: asyncio.Queue[Upload] = asyncio.Queue()
        self.files: dict[str, bytes] = {}
        self.streams = 0
        self.hangs_up = False  # whether it answers a stream at its first event and reads no more
        self._outbox: asyncio.Queue[pb.NotifyAIJob | None] = asyncio.Queue()
        app = Starlette(
            routes=[
                Route("/aiResults", self._results, methods=["POST"]),
                Route("/stream/{name}", self._file),
            ]
        )
        handler = grpc.method_handlers_generic_handler(
            "net.AIWorker",
            {
                "RegisterAIWorker": grpc.unary_stream_rpc_method_handler(
                    self._register,
                    request_deserializer=pb.RegisterAIWorkerRequest.FromString,
                    response_serializer=pb.NotifyAIJob.SerializeToString,
                )
            },
        )
        self._door = FrontDoor(
            listen=f"127.0.0.1:{self.port}",
            certificate=ensure_certificate(run_dir / "tls", "127.0.0.1", SystemClock()),
            run_dir=run_dir / "door",
            app=app,
            handlers=[handler],
            board=ConditionBoard(SystemClock()),
            rng=a_rng(),
            clock=SystemClock(),
            drain_s=5,
            on_drain=lambda: self._outbox.put_nowait(None),
        )

    @property
    def uri(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self._door.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._door.__aexit__(None, None, None)

    def send(self, task_id: int, request: object, *, pipeline: str = "text-to-image", input_url: str = "") -> None:
        """A job, its data as Go marshals it."""
        data = json.dumps({"input_url": input_url, "request": request}).encode()
        self.send_raw(task_id, data, pipeline=pipeline)

    def send_raw(self, task_id: int, data: bytes, *, pipeline: str = "text-to-image") -> None:
        job = pb.AIJobData(pipeline=pipeline, requestData=data)
        self._outbox.put_nowait(pb.NotifyAIJob(taskId=task_id, AIJobData=job))

    def drop(self) -> None:
        """End the stream without an error, as Go does with workers that shall connect anew."""
        self._outbox.put_nowait(None)

    async def upload(self) -> Upload:
        async with asyncio.timeout(30):
            return await self.uploads.get()

    async def _register(self, request: pb.RegisterAIWorkerRequest, context) -> None:
        self.registered.append(request)
        if request.secret != self._secret:
            await context.abort(grpc.StatusCode.UNKNOWN, "invalid secret")
        if not _at_least(request.capabilities.version, self._version):
            return
        self.streams += 1
        try:
            while (job := await self._outbox.get()) is not None:
                await context.write(job)
        finally:
            self.streams -= 1

    async def _results(self, request) -> Response:
        headers = dict(request.headers)
        if headers.get("authorization") != "Livepeer-AI-Worker-1.0":
            return PlainTextResponse("Unauthorized\n", 401)
        if headers.get("credentials", "").encode("latin-1") != self._secret.encode():
            return PlainTextResponse("invalid secret\n", 401)
        if not re.fullmatch(r"-?[0-9]+", headers.get("taskid", "")):
            return PlainTextResponse("Invalid Task ID\n", 400)
        upload = Upload(headers)
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type == "text/event-stream":
            self.uploads.put_nowait(upload)
            return await self._events(request, upload)
        body = await request.body()
        if media_type == "livepeer/ai-worker-error":
            upload.error = body.decode()
        elif media_type == "multipart/mixed":
            upload.told, upload.files = _parse(headers["content-type"], body)
        self.uploads.put_nowait(upload)
        return PlainTextResponse("OK")

    async def _events(self, request, upload: Upload) -> Response:
        """Line by line, as Go's scanner; what a Go orchestrator would fall over fails here."""
        rest = b""
        try:
            async for piece in request.stream():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    assert len(line) < 64 * 1024
                    if line.startswith(b"data: "):
                        chunk = json.loads(line.removeprefix(b"data: "))
                        assert chunk["choices"][0] is not None
                        upload.events.put_nowait(chunk)
                        if self.hangs_up:
                            return PlainTextResponse("OK")
        finally:
            upload.events.put_nowait(None)
        return PlainTextResponse("OK")

    async def _file(self, request) -> Response:
        found = self.files.get(request.path_params["name"])
        return Response(status_code=404) if found is None else Response(found)


def _parse(content_type: str, body: bytes) -> tuple[dict, dict[str, tuple[str, bytes]]]:
    """By the standard library's mail parser, and by the reference's rules of what a part is."""
    parser = email.parser.BytesParser(policy=email.policy.compat32)
    message = parser.parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    assert message.is_multipart()
    files: dict[str, tuple[str, bytes]] = {}
    told: dict = {}
    for part in message.get_payload():
        content = part.get_payload(decode=True)
        assert int(part["Content-Length"]) == len(content)
        assert not told  # the JSON is the last part
        if part["Content-Type"] == "application/json":
            told = json.loads(content)
        else:
            ending = {"image/png": "png", "video/mp4": "mp4", "audio/wav": "wav"}[part["Content-Type"]]
            name = re.fullmatch(rf"attachment; filename=([0-9a-f]{{8}}\.{ending})", part["Content-Disposition"])
            assert name is not None
            files[name[1]] = (part["Content-Type"], content)
    return told, files


def _at_least(version: str, minimum: str) -> bool:
    found = re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)", version)
    return found is not None and tuple(map(int, found.groups())) >= tuple(map(int, minimum.split(".")))


def text_to_image_request(**changes) -> dict:
    """The `request` of a job, with the wire's names."""
    return {"model_id": MODEL, "prompt": "a fleet", "width": 64, "height": 32, "num_images_per_prompt": 2} | changes


class Words:
    """Models of any pipeline, one place each, whose answers the test gives: results, or streams chunk by chunk."""

    def __init__(self, answers: Mapping[tuple[str, str], object]) -> None:
        self.answers = dict(answers)  # by pipeline and model id: an AiResult, or a list of chunks and errors
        self.jobs = []
        self.in_use = set()
        self.steps = asyncio.Semaphore(0)  # chunks that may come now
        self.stopped = 0  # streams that were closed before their end

    def advertised(self):
        return tuple(
            AdvertisedModel(
                *model, warm=True, capacity=1, capacity_in_use=model in self.in_use, runner_version="0.14.1"
            )
            for model in self.answers
        )

    @contextlib.contextmanager
    def reserve(self, pipeline, model_id):
        model = (str(pipeline), model_id)
        if model not in self.answers or model in self.in_use:
            raise NoCapacity(model_id, "test")
        self.in_use.add(model)
        try:
            yield self
        finally:
            self.in_use.remove(model)

    async def run(self, job):
        self.jobs.append(job)
        answer = self.answers[str(job.pipeline), job.model_id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, job):
        self.jobs.append(job)
        whole = False
        try:
            for chunk in self.answers[str(job.pipeline), job.model_id]:
                await self.steps.acquire()
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
            whole = True
        finally:
            self.stopped += not whole
