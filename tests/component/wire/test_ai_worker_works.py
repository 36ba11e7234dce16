"""Our AI worker and an orchestrator that goes by go-livepeer's rules."""

import asyncio
import contextlib
import ssl

import pytest

from livefleet.ai import AdvertisedModel
from livefleet.kernel import Backoff, ConditionBoard, OutsideWorld, Refused, Status, SystemClock
from livefleet.wire.ai_hardware import GpuInfo, ModelHardware
from livefleet.wire.tls import ensure_certificate
from livefleet.wire.worker import JOINED_ORCHESTRATOR, AiWorker
from tests.builders.ai_workers import SECRET, ReferenceOrchestrator, text_to_image_request
from tests.builders.wire import MODEL, OnePlace, a_rng, until

pytestmark = pytest.mark.component

INVALID = "AI request validation failed for text-to-image pipeline err="
HARDWARE = (ModelHardware("text-to-image", MODEL, {"0": GpuInfo("GPU-1", "Test", 8, 9, 5, 24)}),)


class Models(OnePlace):
    """A model whose state is in the test's hands. `gate` closed holds jobs back."""

    def __init__(self, capacity=1):
        super().__init__()
        self.capacity = capacity
        self.warm = True
        self.gate = asyncio.Event()
        self.gate.set()

    def advertised(self):
        if not self.capacity:
            return ()
        return (AdvertisedModel("text-to-image", MODEL, self.warm, self.capacity, self.in_use, "0.14.1"),)

    async def run(self, job):
        made = await super().run(job)
        await self.gate.wait()
        return made


class Hands:
    """A worker beside what it shows."""

    def __init__(self, worker, board, models):
        self.worker = worker
        self.board = board
        self.models = models

    @property
    def condition(self):
        return next(c for c in self.board.all() if c.name == JOINED_ORCHESTRATOR)


@pytest.fixture
async def reference(run_dir):
    async with ReferenceOrchestrator(run_dir) as orchestrator:
        yield orchestrator


@pytest.fixture
async def work_for():
    async with contextlib.AsyncExitStack() as stack:

        async def start(uri, *, secret=SECRET, models=None, on=stack, drain_s=10):
            board, models = ConditionBoard(SystemClock()), models or Models()
            worker = AiWorker(
                orchestrator=uri.removeprefix("https://"),
                secret=secret,
                ai=models,
                hardware=lambda: HARDWARE,
                board=board,
                rng=a_rng(),
                backoff=Backoff(first_s=0.1, cap_s=1),
                drain_s=drain_s,
            )
            await on.enter_async_context(worker)
            return Hands(worker, board, models)

        yield start


async def test_worker__registers_with_models_version_and_hardware(reference, work_for):
    hands = await work_for(reference.uri)
    await until(lambda: reference.streams)
    (request,) = reference.registered
    told = request.capabilities
    assert told.version == "0.9.1"
    assert told.constraints.minVersion == ""
    bits = {i for i in range(64) if told.bitstring[0] >> i & 1}
    assert bits == {*range(13), 14, 26, 27}
    assert dict(told.capacities) == dict.fromkeys(bits, 1)
    assert list(told.constraints.PerCapability) == [27]  # 35 would take a Go orchestrator down
    model = told.constraints.PerCapability[27].models[MODEL]
    assert (model.warm, model.capacity, model.runnerVersion) == (True, 1, "0.14.1")
    (entry,) = request.hardware
    assert (entry.pipeline, entry.model_id) == ("text-to-image", MODEL)
    gpu = entry.gpu_info["0"]
    assert (gpu.id, gpu.name, gpu.major, gpu.minor, gpu.memory_free, gpu.memory_total) == ("GPU-1", "Test", 8, 9, 5, 24)
    await until(lambda: hands.condition.status is Status.TRUE)


async def test_job__is_done_and_uploaded_with_the_exact_headers(reference, work_for):
    hands = await work_for(reference.uri)
    reference.send(0, text_to_image_request())
    upload = await reference.upload()
    assert upload.headers["authorization"] == "Livepeer-AI-Worker-1.0"
    assert upload.headers["credentials"] == SECRET
    assert (upload.headers["taskid"], upload.headers["pipeline"]) == ("0", "text-to-image")
    kind, _, boundary = upload.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/mixed"
    assert len(boundary) == 20
    assert int(boundary, 16)
    assert [content for content, _ in upload.images] == [b"\x89PNG 0", b"\x89PNG 1"]
    assert [(entry["seed"], entry["nsfw"]) for _, entry in upload.images] == [(0, False), (1, False)]
    assert hands.models.requests[0].fields["prompt"] == "a fleet"
    await until(lambda: hands.worker.snapshot().done == 1)
    ((labels, histogram),) = hands.worker.stats.uploads_s.items()
    assert labels == (reference.uri, "text-to-image", MODEL)
    assert histogram.count == 1


async def test_jobs_at_once__up_to_the_capacity__one_more_is_refused(reference, work_for):
    hands = await work_for(reference.uri)
    hands.models.gate.clear()
    reference.send(0, text_to_image_request())
    await until(lambda: hands.models.requests)
    reference.send(1, text_to_image_request())
    refused = await reference.upload()
    assert (refused.headers["taskid"], refused.headers["content-type"]) == ("1", "livepeer/ai-worker-error")
    assert refused.error == "no workers can process job requested"
    hands.models.gate.set()
    assert (await reference.upload()).headers["taskid"] == "0"
    await until(lambda: not hands.worker.snapshot().jobs)
    assert (hands.worker.snapshot().done, hands.worker.snapshot().failed) == (1, 1)


@pytest.mark.parametrize(
    ("pipeline", "request_data", "text"),
    [
        ("text-to-image", b"{", "EOF while parsing an object"),
        ("text-to-image", b"[]", "not a JSON object"),
        ("text-to-image", b'{"input_url":"","request":null}', f"{INVALID}<nil>"),
        ("text-to-image", b'{"input_url":""}', f"{INVALID}<nil>"),
        ("text-to-image", b'{"request":{"prompt":"x"}}', f"{INVALID}<nil>"),
        ("text-to-image", b'{"request":{"prompt":"x","model_id":null}}', f"{INVALID}<nil>"),
        ("text-to-image", b'{"request":[]}', f"{INVALID}not a JSON object"),
        ("text-to-image", b'{"request":{"prompt":"x","model_id":3}}', f"{INVALID}model_id is no text"),
        ("text-to-image", b'{"request":{"model_id":"%s"}}' % MODEL.encode(), f"{INVALID}text-to-image container re"),
        (
            "text-to-image",
            b'{"request":{"prompt":"x","model_id":"%s","width":9999}}' % MODEL.encode(),
            f"{INVALID}text-to-image container returned 400: width",
        ),
        (
            "live-video-to-video",
            b'{"request":{"model_id":"m"}}',
            "AI request validation failed for live-video-to-video pipeline err=AI request pipeline type not supported",
        ),
        ("text-to-image", b'{"request":{"prompt":"x","model_id":"other/model"}}', "no workers can process job request"),
    ],
)
async def test_job__that_cannot_be_done__is_answered(reference, work_for, pipeline, request_data, text):
    await work_for(reference.uri)
    reference.send_raw(5, request_data, pipeline=pipeline)
    upload = await reference.upload()
    assert upload.headers["content-type"] == "livepeer/ai-worker-error"
    assert upload.headers["pipeline"] == pipeline
    assert upload.error.startswith(text)


async def test_runner_fails__its_words_are_reported(reference, work_for):
    hands = await work_for(reference.uri)
    hands.models.error = Refused("text-to-image container returned 500: Out of memory.", status=500)
    reference.send(0, text_to_image_request())
    assert (await reference.upload()).error == "text-to-image container returned 500: Out of memory."


async def test_job_breaks_unforeseen__is_reported_and_the_others_go_on(reference, work_for):
    hands = await work_for(reference.uri)
    hands.models.error = OSError(28, "No space left on device")
    reference.send(0, text_to_image_request())
    assert (await reference.upload()).error == "AI worker stopped"
    hands.models.error = None
    reference.send(1, text_to_image_request())
    assert (await reference.upload()).images


async def test_wrong_secret__stops_for_good(reference, work_for):
    hands = await work_for(reference.uri, secret="guess")
    await until(lambda: hands.condition.reason == "Refused")
    assert "invalid secret" in hands.condition.message
    await asyncio.sleep(1)  # ten of its waits
    assert len(reference.registered) == 1


async def test_secret_that_is_not_ascii__joins_and_delivers(run_dir, work_for):
    async with ReferenceOrchestrator(run_dir, secret="schlüssel") as reference:
        await work_for(reference.uri, secret="schlüssel")
        reference.send(0, text_to_image_request())
        assert (await reference.upload()).images


async def test_newer_orchestrator__ends_the_stream_clean__the_worker_goes_on_trying(run_dir, work_for):
    async with ReferenceOrchestrator(run_dir, version="99.0.0") as reference:
        hands = await work_for(reference.uri)
        await until(lambda: len(reference.registered) >= 3)
        assert hands.condition.reason == "Disconnected"


async def test_stream_ends__running_job_is_uploaded_then_it_joins_again(reference, work_for):
    hands = await work_for(reference.uri)
    hands.models.gate.clear()
    reference.send(0, text_to_image_request())
    await until(lambda: hands.models.requests)
    reference.drop()
    await until(lambda: hands.condition.reason == "Disconnected")
    assert len(reference.registered) == 1
    hands.models.gate.set()
    assert (await reference.upload()).images
    await until(lambda: len(reference.registered) == 2 and reference.streams == 1)
    reference.send(1, text_to_image_request())
    assert (await reference.upload()).headers["taskid"] == "1"


async def test_stop__no_new_work_and_what_runs_is_uploaded(reference, work_for):
    models = Models()
    models.gate.clear()
    async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as life:
        hands = await work_for(reference.uri, models=models, on=life)
        reference.send(0, text_to_image_request())
        await until(lambda: models.requests)
        stopping = group.create_task(life.aclose())
        await until(lambda: not reference.streams)
        assert hands.condition.reason == "Stopping"
        models.gate.set()
        await stopping
        assert (await reference.upload()).images


async def test_stop__with_a_job_that_hangs__is_bounded(reference, work_for):
    models = Models()
    models.gate.clear()
    async with contextlib.AsyncExitStack() as life:
        await work_for(reference.uri, models=models, on=life, drain_s=0.1)
        reference.send(0, text_to_image_request())
        await until(lambda: models.requests)
        async with asyncio.timeout(15):
            await life.aclose()
    assert models.in_use == 0


async def test_no_model_yet__joins_when_one_answers(reference, work_for):
    models = Models(capacity=0)
    hands = await work_for(reference.uri, models=models)
    await asyncio.sleep(0.7)
    assert (reference.registered, hands.condition.status) == ([], Status.UNKNOWN)
    models.capacity = 1
    await until(lambda: reference.streams)


async def test_model_lost__joins_anew_without_it(reference, work_for):
    models = Models(capacity=2)
    await work_for(reference.uri, models=models)
    await until(lambda: reference.streams)
    models.capacity = 1
    await until(lambda: len(reference.registered) == 2)
    told = reference.registered[-1].capabilities.constraints.PerCapability[27].models[MODEL]
    assert told.capacity == 1
    models.capacity = 0
    await until(lambda: not reference.streams)


async def test_model_lost_under_a_job__what_is_left_is_told_at_once_and_the_job_is_brought(reference, work_for):
    models = Models(capacity=3)
    models.gate.clear()
    await work_for(reference.uri, models=models)
    reference.send(0, text_to_image_request())
    await until(lambda: models.requests)
    models.capacity = 2  # a runner of it is gone

    # The place that the job holds is not offered a second time.
    await until(lambda: len(reference.registered) == 2 and reference.streams == 1)
    told = reference.registered[-1].capabilities.constraints.PerCapability[27].models[MODEL]
    assert (told.capacity, len(models.requests)) == (1, 1)

    # Its result goes where it was asked for, and then all places are told of.
    models.gate.set()
    assert (await reference.upload()).images
    await until(lambda: len(reference.registered) == 3)
    assert reference.registered[-1].capabilities.constraints.PerCapability[27].models[MODEL].capacity == 2


async def test_model_gained_under_a_job__is_told_after_it(reference, work_for):
    models = Models()
    models.warm = False
    models.gate.clear()
    await work_for(reference.uri, models=models)
    reference.send(0, text_to_image_request())
    await until(lambda: models.requests)
    models.warm = True  # the job's own doing: it loaded the model
    await asyncio.sleep(1.2)  # more than two looks
    assert (len(reference.registered), reference.streams) == (1, 1)
    models.gate.set()
    assert (await reference.upload()).images
    await until(lambda: len(reference.registered) == 2)
    assert reference.registered[-1].capabilities.constraints.PerCapability[27].models[MODEL].warm


async def test_upload__speaks_http2_to_a_peer_that_takes_nothing_else(run_dir, work_for):
    """Go orchestrators behind some proxies offer h2 alone."""
    begun: asyncio.Queue[bytes] = asyncio.Queue()

    async def peer(reader, writer):
        begun.put_nowait(await reader.readexactly(24))
        writer.close()

    files = ensure_certificate(run_dir / "tls", "127.0.0.1", SystemClock())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    tls.set_alpn_protocols(["h2"])
    async with await asyncio.start_server(peer, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        hands = await work_for(f"https://127.0.0.1:{port}", models=Models(capacity=0))
        with pytest.raises(OutsideWorld, match="upload failed"):
            await hands.worker._runner.report_failure(0, "text-to-image", "x")
        assert await begun.get() == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
