"""Both ends of the AI worker split as go-livepeer behaves, written by hand: nothing of our own translation is in them.

The orchestrator stands behind our front door's nginx only because some TLS port must take gRPC and HTTP/2 at once.
"""

import asyncio
import contextlib
import email.parser
import email.policy
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc
import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server import FrontDoor
from livefleet.wire.tls import ensure_certificate
from tests.builders.wire import MODEL, a_rng, free_port

SECRET = "test-only: how workers and orchestrator know each other"
BOUNDARY = "00112233445566778899"
TEXT_TO_IMAGE = 27


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

    async def post(self, task_id: object, body: bytes, **headers: str) -> httpx.Response:
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


def multipart_body(images: list[bytes], *, names: list[str] | None = None) -> bytes:
    """File parts, then the JSON part that names them."""
    names = names or [f"{number:08x}.png" for number in range(len(images))]
    pieces = []
    for name, image in zip(names, images, strict=True):
        head = f"Content-Disposition: attachment; filename={name}\r\nContent-Length: {len(image)}"
        pieces += [f"--{BOUNDARY}\r\n{head}\r\nContent-Type: image/png\r\n\r\n".encode(), image, b"\r\n"]
    told = json.dumps({"images": [{"nsfw": False, "seed": 7 + n, "url": name} for n, name in enumerate(names)]})
    pieces.append(f"--{BOUNDARY}\r\nContent-Length: {len(told)}\r\nContent-Type: application/json\r\n\r\n".encode())
    pieces.append(f"{told}\r\n--{BOUNDARY}--\r\n".encode())
    return b"".join(pieces)


@dataclass
class Upload:
    """What came in at /aiResults."""

    headers: dict[str, str]
    error: str | None = None
    images: list[tuple[bytes, dict]] = field(default_factory=list)  # content, JSON entry


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
        body = await request.body()
        upload = Upload(headers)
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type == "livepeer/ai-worker-error":
            upload.error = body.decode()
        elif media_type == "multipart/mixed":
            upload.images = _parse(headers["content-type"], body)
        self.uploads.put_nowait(upload)
        return PlainTextResponse("OK")

    async def _file(self, request) -> Response:
        found = self.files.get(request.path_params["name"])
        return Response(status_code=404) if found is None else Response(found)


def _parse(content_type: str, body: bytes) -> list[tuple[bytes, dict]]:
    """By the standard library's mail parser, and by the reference's rules of what a part is."""
    parser = email.parser.BytesParser(policy=email.policy.compat32)
    message = parser.parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    assert message.is_multipart()
    files: dict[str, bytes] = {}
    told: dict = {}
    for part in message.get_payload():
        content = part.get_payload(decode=True)
        assert int(part["Content-Length"]) == len(content)
        if part["Content-Type"] == "application/json":
            told = json.loads(content)
        else:
            assert part["Content-Type"] == "image/png"
            name = re.fullmatch(r"attachment; filename=([0-9a-f]{8}\.png)", part["Content-Disposition"])
            assert name is not None
            files[name[1]] = content
    return [(files[entry["url"]], entry) for entry in told["images"]]


def _at_least(version: str, minimum: str) -> bool:
    found = re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)", version)
    return found is not None and tuple(map(int, found.groups())) >= tuple(map(int, minimum.split(".")))


def text_to_image_request(**changes) -> dict:
    """The `request` of a job, with the wire's names."""
    return {"model_id": MODEL, "prompt": "a fleet", "width": 64, "height": 32, "num_images_per_prompt": 2} | changes
