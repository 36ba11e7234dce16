"""Our orchestrator and an AI worker that behaves as go-livepeer's."""

import asyncio
import contextlib
import json

import grpc
import pytest

from livefleet.wire import Capabilities, Capability, ModelConstraint
from livefleet.wire.ai_hardware import GpuInfo, ModelHardware
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.segment import EMPTY_HASH
from tests.builders.ai_workers import SECRET, GoAiWorker, multipart_body, result_body
from tests.builders.wire import (
    GATEWAY,
    IMAGE_BODY,
    MODEL,
    ORCHESTRATOR,
    OnePlace,
    TabPayments,
    a_payment,
    credentials_for,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

IMAGES = [b"\x89PNG one", b"\x89PNG two"]


@pytest.fixture
async def hire():
    """`await hire(orchestrator, models)` joins a worker; the test's end breaks its connection."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(orchestrator, models, **told):
            before = len(workers(orchestrator))
            worker = await stack.enter_async_context(GoAiWorker(orchestrator.uri))
            worker.register(models, **told)
            await until(lambda: len(workers(orchestrator)) == before + 1)
            return worker

        yield start


@pytest.fixture
async def empty(serve):
    """An orchestrator without models of its own."""
    return await serve(payments=TabPayments(), signer=ORCHESTRATOR, worker_secret=SECRET)


def workers(orchestrator):
    return orchestrator.server.snapshot().ai_workers


async def ask(orchestrator, *, token=None, **body):
    """One request for two images."""
    token = token or (await orchestrator.info()).auth_token
    credentials = credentials_for(
        token,
        b"",
        manifest_id=f"27_{MODEL}".encode(),
        sequence=0,
        source_hash=EMPTY_HASH,
        profiles=(),
        capabilities=Capabilities.of(
            {*range(13), 14, 26}, models={Capability.TEXT_TO_IMAGE: {MODEL: ModelConstraint()}}
        ),
    )
    headers = work_headers(credentials, a_payment()) | {
        "Authorization": "Livepeer-AI-Worker-1.0",
        "Content-Type": "application/json",
    }
    return await orchestrator.http.post(f"{orchestrator.uri}/text-to-image", json=IMAGE_BODY | body, headers=headers)


async def test_worker__joins__its_model_is_offered_and_a_job_is_done(empty, hire):
    before = (await empty.info()).capabilities
    assert before.models == {}
    worker = await hire(empty, {MODEL: 2})
    told = (await empty.info()).capabilities
    assert told.models == {27: {MODEL: ModelConstraint(warm=True, capacity=2, runner_version="0.14.1")}}
    assert told.ids == {*range(13), 14, 26, 27}
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask(empty, seed=3))
        job = await worker.job()
        assert (job.taskId, job.AIJobData.pipeline) == (0, "text-to-image")
        assert b'"input_url":""' in job.AIJobData.requestData
        told = (await empty.info()).capabilities.models[27][MODEL]
        assert (told.capacity, told.capacity_in_use) == (1, 1)
        uploaded = await worker.upload(job.taskId, IMAGES)
    assert (uploaded.status_code, uploaded.text, uploaded.http_version) == (200, "OK", "HTTP/2")
    answer = await asked
    assert answer.status_code == 200, answer.text
    images = answer.json()["images"]
    assert [(i["seed"], i["nsfw"]) for i in images] == [(7, False), (8, False)]
    assert [(await empty.http.get(i["url"])).content for i in images] == IMAGES
    payments = empty.server._images._payments
    assert payments.debits == [(f"27_{MODEL}", 64 * 32 * 2)]
    assert payments.tab[(GATEWAY.address, f"27_{MODEL}")] < 10**18
    (snapshot,) = workers(empty)
    assert (snapshot.models, snapshot.capacity, snapshot.in_use) == ((f"text-to-image/{MODEL}",), 2, 0)


async def test_job__has_the_wires_names_and_the_size_that_is_billed(empty, hire):
    worker = await hire(empty, {MODEL: 1})
    async with asyncio.TaskGroup() as group:
        group.create_task(ask(empty, width=None, height=None, guidance_scale=2.5, num_images_per_prompt=1))
        job = await worker.job()
        data = json.loads(job.AIJobData.requestData)
        await worker.upload(job.taskId, IMAGES[:1])
    assert set(data) == {"input_url", "request"}
    request = data["request"]
    assert (request["model_id"], request["width"], request["height"]) == (MODEL, 512, 512)
    assert request["guidance_scale"] == 2.5
    assert "seed" not in request


async def test_worker__leaves__its_model_is_offered_no_more(empty):
    async with GoAiWorker(empty.uri) as worker:
        worker.register({MODEL: 1})
        await until(lambda: workers(empty))
    await until(lambda: not workers(empty))
    assert (await empty.info()).capabilities.models == {}
    answer = await ask(empty)
    assert (answer.status_code, answer.text) == (403, "incompatible capabilities\n")


@pytest.mark.parametrize(
    ("models", "secret", "text"),
    [
        ({MODEL: 1}, "guess", "invalid secret"),
        ({MODEL: 1}, "", "invalid secret"),
        ({MODEL: 0}, SECRET, "zero capacity"),
        ({}, SECRET, "zero capacity"),
        (None, SECRET, "zero capacity"),
    ],
)
async def test_register__refused__with_a_text_that_ends_a_worker(empty, models, secret, text):
    async with GoAiWorker(empty.uri) as worker:
        call = worker.register(models, secret=secret)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, text)
    assert workers(empty) == ()


async def test_register__no_secret_configured__is_not_offered(serve):
    orchestrator = await serve(ai=OnePlace())
    channel = await open_channel(parse_endpoint(orchestrator.uri), timeout_s=20)
    stub = channel.unary_stream(
        "/net.AIWorker/RegisterAIWorker",
        request_serializer=pb.RegisterAIWorkerRequest.SerializeToString,
        response_deserializer=pb.NotifyAIJob.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(pb.RegisterAIWorkerRequest(secret="")).read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await channel.close(None)
    assert (await orchestrator.http.post(f"{orchestrator.uri}/aiResults")).status_code == 404


@pytest.mark.parametrize("version", ["0.9.1", "0.9.1-0a1b2c3d", "2.0.0"])
async def test_register__version_of_the_nodes_or_newer__is_taken(empty, hire, version):
    await hire(empty, {MODEL: 1}, version=version)
    assert workers(empty)[0].version == version


@pytest.mark.parametrize("version", ["", "undefined", "0.9.0", "0.8.10", "new"])
async def test_register__older_version__its_stream_ends_without_an_error(empty, version):
    async with GoAiWorker(empty.uri) as worker:
        call = worker.register({MODEL: 1}, version=version)
        async with asyncio.timeout(10):
            assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
    assert workers(empty) == ()


async def test_register__live_video__is_not_offered(empty, hire):
    await hire(empty, {"noop": 1}, capability=35)
    assert (await empty.info()).capabilities.models == {}
    assert workers(empty)[0].models == ()


async def test_two_workers__lowest_runner_version_and_all_places_are_told(empty, hire):
    await hire(empty, {MODEL: 1}, runner_version="0.14.2")
    await hire(empty, {MODEL: 3}, runner_version="0.9.10")
    told = (await empty.info()).capabilities.models[27][MODEL]
    assert (told.capacity, told.runner_version) == (4, "0.9.10")


async def test_busy_worker__next_job_goes_to_the_other__a_third_is_refused(empty, hire):
    first = await hire(empty, {MODEL: 1})
    second = await hire(empty, {MODEL: 1})
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(empty))]
        one = await first.job()
        asked.append(group.create_task(ask(empty)))
        two = await second.job()
        refused = await ask(empty)
        assert (refused.status_code, refused.text) == (503, "insufficient capacity\n")
        await first.upload(one.taskId, IMAGES)
        await second.upload(two.taskId, IMAGES)
    assert [(await task).status_code for task in asked] == [200, 200]
    assert (one.taskId, two.taskId) == (0, 1)


async def test_worker__reports_an_error__its_text_reaches_the_gateway(empty, hire):
    worker = await hire(empty, {MODEL: 1})
    text = "text-to-image container returned 400: prompt too long"
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask(empty))
        job = await worker.job()
        answered = await worker.post(job.taskId, text.encode(), Content_Type="livepeer/ai-worker-error")
    assert (answered.status_code, answered.text) == (200, "OK")
    answer = await asked
    assert (answer.status_code, answer.text) == (500, text + "\n")
    assert empty.server._images._payments.debits == []
    assert workers(empty)[0].in_use == 0


async def test_worker__killed_with_a_job__another_does_it(empty, hire):
    async with asyncio.TaskGroup() as group:
        async with GoAiWorker(empty.uri) as lost:
            lost.register({MODEL: 1})
            await until(lambda: workers(empty))
            asked = group.create_task(ask(empty))
            await lost.job()
        await until(lambda: not workers(empty))
        second = await hire(empty, {MODEL: 1})
        job = await second.job()
        await second.upload(job.taskId, IMAGES)
    assert (await asked).status_code == 200
    assert job.taskId == 1
    assert empty.server.snapshot().ai_worker_retries == 1


async def test_worker__stream_ends_with_a_job__its_upload_still_counts(empty):
    async with GoAiWorker(empty.uri) as worker:
        worker.register({MODEL: 1})
        await until(lambda: workers(empty))
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(ask(empty))
            job = await worker.job()
            worker.call.cancel()  # as a worker that stops: no new work, but what runs is finished
            await until(lambda: not workers(empty))
            await worker.upload(job.taskId, IMAGES)
        assert (await asked).status_code == 200


async def test_worker__killed_and_nobody_left__fails_clearly(empty):
    empty.server._ai_pool._grace_s = 0.2
    async with asyncio.TaskGroup() as group, GoAiWorker(empty.uri) as worker:
        worker.register({MODEL: 1})
        await until(lambda: workers(empty))
        asked = group.create_task(ask(empty))
        await worker.job()
    answer = await asked
    assert (answer.status_code, answer.text) == (500, "no workers available\n")
    assert empty.server._images._payments.debits == []


async def test_worker__silent__is_given_up_and_its_stream_ends_without_an_error(empty, hire):
    empty.server._ai_pool._longest_s = 0.3
    worker = await hire(empty, {MODEL: 1})
    answer = await ask(empty)
    assert (answer.status_code, answer.text) == (500, "Remote worker took too long\n")
    await worker.job()
    assert await worker.call.read() is grpc.aio.EOF
    assert await worker.call.code() is grpc.StatusCode.OK
    assert workers(empty) == ()


async def test_orchestrator__stops__streams_end_without_an_error_and_a_running_job_is_brought(serve):
    orchestrator = await serve(worker_secret=SECRET, drain_s=20, fetch_s=10)
    async with GoAiWorker(orchestrator.uri) as worker, asyncio.TaskGroup() as group:
        worker.register({MODEL: 1})
        await until(lambda: workers(orchestrator))
        token = (await orchestrator.info()).auth_token
        asked = group.create_task(ask(orchestrator, token=token))
        job = await worker.job()
        stopping = group.create_task(orchestrator.server.__aexit__(None, None, None))
        await until(lambda: orchestrator.condition("FrontDoorOpen").reason == "Draining")
        refused = await ask(orchestrator, token=token)
        assert (refused.status_code, refused.text) == (403, "OrchestratorCapped\n")
        await worker.upload(job.taskId, IMAGES)
        answer = await asked
        assert answer.status_code == 200
        for image, content in zip(answer.json()["images"], IMAGES, strict=True):
            assert (await orchestrator.http.get(image["url"])).content == content
        await stopping
        assert await worker.call.read() is grpc.aio.EOF
        assert await worker.call.code() is grpc.StatusCode.OK


async def test_local_and_remote__local_is_filled_first_and_both_are_told(serve, hire):
    local = OnePlace()
    orchestrator = await serve(worker_secret=SECRET, ai=local)
    worker = await hire(orchestrator, {MODEL: 1})
    assert (await orchestrator.info()).capabilities.models[27][MODEL].capacity == 2
    assert (await ask(orchestrator)).status_code == 200
    assert len(local.requests) == 1
    async with asyncio.TaskGroup() as group:
        with local.reserve("text-to-image", MODEL):
            asked = group.create_task(ask(orchestrator))
            job = await worker.job()
            await worker.upload(job.taskId, IMAGES)
            assert (await asked).status_code == 200
    assert len(local.requests) == 1


async def test_local_and_remote__worker_lost__the_local_model_does_it(serve):
    local = OnePlace()
    orchestrator = await serve(worker_secret=SECRET, ai=local)
    orchestrator.server._ai_pool._grace_s = 0.2
    async with asyncio.TaskGroup() as group, GoAiWorker(orchestrator.uri) as worker:
        worker.register({MODEL: 1})
        await until(lambda: workers(orchestrator))
        with local.reserve("text-to-image", MODEL):
            asked = group.create_task(ask(orchestrator))
            await worker.job()
    assert (await asked).status_code == 200
    assert len(local.requests) == 1


async def test_plain_request__tells_the_workers_hardware(empty, hire):
    gpu = pb.GPUComputeInfo(id="GPU-1", name="Test", major=8, minor=9, memory_free=5, memory_total=24)
    entry = pb.HardwareInformation(pipeline="text-to-image", model_id=MODEL, gpu_info={"0": gpu})
    await hire(empty, {MODEL: 1}, hardware=[entry])
    (told,) = (await empty.info()).hardware
    assert (told.pipeline, told.model_id) == ("text-to-image", MODEL)
    assert (told.gpus["0"].id, told.gpus["0"].memory_total) == ("GPU-1", 24)
    wanted = Capabilities.of({27}, models={27: {MODEL: ModelConstraint()}})
    assert (await empty.info(empty.signed(wanted))).hardware == ()


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"Authorization": "Livepeer-AI-Worker-0.9"}, 401, "Unauthorized\n"),
        ({"Credentials": "guess"}, 401, "invalid secret\n"),
        ({"Content_Type": ""}, 415, "mime: no media type\n"),
        ({"Content_Type": "multipart/mixed; boundary"}, 415, "mime: invalid media parameter\n"),
        ({"Content_Type": "nonsense", "TaskId": "4711"}, 200, "OK"),
        ({"TaskId": "seven"}, 400, "Invalid Task ID\n"),
        ({"TaskId": ""}, 400, "Invalid Task ID\n"),
        ({"TaskId": "1_0"}, 400, "Invalid Task ID\n"),
        ({"TaskId": "4711"}, 200, "OK"),
        ({"TaskId": "4711", "Content_Type": "livepeer/ai-worker-error"}, 200, "OK"),
        ({"TaskId": "4711", "Content_Type": "text/event-stream"}, 200, "OK"),
    ],
)
async def test_ai_results__each_fault__has_its_answer(empty, change, status, text):
    async with GoAiWorker(empty.uri) as worker:
        answer = await worker.post(0, b"--x--", **change)
    assert (answer.status_code, answer.text, answer.http_version) == (status, text, "HTTP/2")


async def test_ai_results__wrong_secret_under_a_running_job__changes_nothing(empty, hire):
    worker = await hire(empty, {MODEL: 1})
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask(empty))
        job = await worker.job()
        forged = await worker.post(job.taskId, b"forged", Credentials="guess", Content_Type="livepeer/ai-worker-error")
        assert (forged.status_code, forged.text) == (401, "invalid secret\n")
        assert not asked.done()
        await worker.upload(job.taskId, IMAGES)
    assert (await asked).status_code == 200


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (multipart_body(IMAGES)[:-30], "unexpected end of the multipart body"),
        (multipart_body(IMAGES[:1]), "1 file(s), 2 were asked for"),
        (result_body({}, {}), "0 file(s), 2 were asked for"),
        (b"no multipart", "boundary"),
    ],
)
async def test_ai_results__broken_multipart__fails_the_job(empty, hire, body, fault):
    worker = await hire(empty, {MODEL: 1})
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask(empty))
        job = await worker.job()
        answered = await worker.post(job.taskId, body)
    assert answered.status_code == 500
    answer = await asked
    assert answer.status_code == 500
    assert fault in answer.text
    assert fault in answered.text
    assert workers(empty)[0].in_use == 0


async def test_ai_results__another_type__fails_the_job_at_once(empty, hire):
    worker = await hire(empty, {MODEL: 1})
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask(empty))
        job = await worker.job()
        assert (await worker.post(job.taskId, b"data: {}\n\n", Content_Type="text/event-stream")).status_code == 200
    assert (await asked).text == "the worker's result is of the type text/event-stream\n"


async def test_plain_request__with_local_models__tells_their_hardware_alone(serve, hire):
    told = (ModelHardware("text-to-image", MODEL, {"0": GpuInfo("GPU-9", "Here", 9, 0, 1, 80)}),)
    orchestrator = await serve(worker_secret=SECRET, ai=OnePlace(), ai_hardware=lambda: told)
    entry = pb.HardwareInformation(pipeline="text-to-image", model_id="elsewhere")
    await hire(orchestrator, {MODEL: 1}, hardware=[entry])
    assert (await orchestrator.info()).hardware == told
