import asyncio
import contextlib

import grpc
import httpx
import pytest

from livefleet.kernel import Backoff, ConditionBoard, Status, SystemClock
from livefleet.wire import Capabilities
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import auth_token_to_proto, capabilities_to_proto
from livefleet.wire.worker import JOINED_ORCHESTRATOR, Worker
from tests.builders.wire import (
    TRANSCODING_IDS,
    FreePayments,
    RecordingTranscoder,
    a_profile,
    a_rng,
    credentials_for,
    free_port,
    made_of,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

SECRET = "test-only-secret"
SOURCE = b"S" * 5000


class Hands:
    """A worker beside what it shows."""

    def __init__(self, worker, board, transcoder):
        self.worker = worker
        self.board = board
        self.transcoder = transcoder

    @property
    def condition(self):
        return next(c for c in self.board.all() if c.name == JOINED_ORCHESTRATOR)


@pytest.fixture
async def work_for():
    async with contextlib.AsyncExitStack() as stack:

        async def start(orchestrator, *, transcoder=None, secret=SECRET, capacity=2, on=stack):
            board = ConditionBoard(SystemClock())
            transcoder = transcoder or RecordingTranscoder()
            worker = Worker(
                orchestrator=orchestrator.uri.removeprefix("https://"),
                secret=secret,
                capacity=capacity,
                transcoder=transcoder,
                board=board,
                rng=a_rng(),
                backoff=Backoff(first_s=0.1, cap_s=1),
                drain_s=10,
            )
            await on.enter_async_context(worker)
            return Hands(worker, board, transcoder)

        yield start


def workers(orchestrator):
    return orchestrator.server.snapshot().workers


async def send(orchestrator, token, sequence=7):
    credentials = credentials_for(token, SOURCE, sequence=sequence)
    return await orchestrator.segment(SOURCE, work_headers(credentials, signer=None))


async def test_worker__joins_and_does_a_segment(serve, work_for):
    payments = FreePayments()
    orchestrator = await serve(worker_secret=SECRET, payments=payments)
    assert (await orchestrator.info()).capabilities.ids == {12}
    hands = await work_for(orchestrator)
    await until(lambda: workers(orchestrator))
    info = await orchestrator.info()
    assert info.capabilities.ids == hands.transcoder.capability_ids
    outcome = await send(orchestrator, info.auth_token)
    assert outcome.error is None
    content = [(await orchestrator.http.get(r.url)).content for r in outcome.renditions]
    assert content == [made_of(p, SOURCE) for p in credentials_for(None, SOURCE).profiles]
    assert payments.debits == [(info.auth_token.session, (426 * 240 + 256 * 144) * 60)]
    assert hands.condition.status is Status.TRUE
    job = hands.transcoder.jobs[0]
    assert (job.session, job.sequence, job.orchestrator_id) == (info.auth_token.session, 7, "offchain")
    assert (workers(orchestrator)[0].sessions, workers(orchestrator)[0].peer) == (1, "127.0.0.1")
    source_url = f"{orchestrator.uri}/stream/{info.auth_token.session}/7.tempfile"
    assert (await orchestrator.http.get(source_url)).status_code == 404
    snapshot = hands.worker.snapshot()
    assert (snapshot.joined, snapshot.done, snapshot.pixels) == (True, 1, (426 * 240 + 256 * 144) * 60)


async def test_worker__offers_less__is_told_once_nothing_is_under_way(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    hands = await work_for(orchestrator, capacity=4)
    await until(lambda: workers(orchestrator))
    token = (await orchestrator.info()).auth_token
    await send(orchestrator, token)
    hands.worker.offer(2)
    assert (await send(orchestrator, token, sequence=8)).error is None
    assert [(w.capacity, w.sessions) for w in workers(orchestrator)] == [(4, 1)]  # the stream stays: a session is open
    request = pb.EndTranscodingSessionRequest(auth_token=auth_token_to_proto(token))
    await orchestrator.call("EndTranscodingSession", request, pb.EndTranscodingSessionResponse)
    await until(lambda: [w.capacity for w in workers(orchestrator)] == [2])


async def test_worker__hash_and_fresh_start_wanted__hears_so_and_its_hashes_arrive(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    hands = await work_for(orchestrator)
    await until(lambda: workers(orchestrator))
    token = (await orchestrator.info()).auth_token
    credentials = credentials_for(token, SOURCE, calc_perceptual_hash=True, force_session_reinit=True)
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials, signer=None))
    assert (hands.transcoder.jobs[0].calc_perceptual_hash, hands.transcoder.jobs[0].force_reinit) == (True, True)
    assert [r.perceptual_hash_url for r in outcome.renditions] == [f"{r.url}.phash" for r in outcome.renditions]
    hashes = [(await orchestrator.http.get(r.perceptual_hash_url)).content for r in outcome.renditions]
    assert hashes == [f"hash of {profile.name}".encode() for profile in credentials.profiles]
    plain = await send(orchestrator, token, sequence=8)
    assert [r.perceptual_hash_url for r in plain.renditions] == ["", ""]


async def test_session_end__reaches_the_worker(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    hands = await work_for(orchestrator)
    await until(lambda: workers(orchestrator))
    token = (await orchestrator.info()).auth_token
    await send(orchestrator, token)
    request = pb.EndTranscodingSessionRequest(auth_token=auth_token_to_proto(token))
    await orchestrator.call("EndTranscodingSession", request, pb.EndTranscodingSessionResponse)
    await until(lambda: hands.transcoder.ended)
    assert hands.transcoder.ended == [token.session]
    assert workers(orchestrator)[0].sessions == 0


async def test_worker__wrong_secret__stops_for_good(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    hands = await work_for(orchestrator, secret="guess")
    await until(lambda: hands.condition.reason == "Refused")
    assert "invalid secret" in hands.condition.message
    assert workers(orchestrator) == ()


async def test_register__zero_capacity__is_refused(serve):
    orchestrator = await serve(worker_secret=SECRET)
    channel = await open_channel(parse_endpoint(orchestrator.uri), timeout_s=10)
    call = channel.unary_stream(
        "/net.Transcoder/RegisterTranscoder",
        request_serializer=pb.RegisterRequest.SerializeToString,
        response_deserializer=pb.NotifySegment.FromString,
    )(pb.RegisterRequest(secret=SECRET, capacity=0))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, "zero capacity")
    await channel.close(None)


async def test_worker__transcoding_error__reaches_the_gateway(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    await work_for(orchestrator, transcoder=RecordingTranscoder(failure="TranscoderInvalidVideo"))
    await until(lambda: workers(orchestrator))
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token)).error == "TranscoderInvalidVideo"
    assert workers(orchestrator)[0].sessions == 0


async def test_no_worker__error_says_so(serve):
    orchestrator = await serve(worker_secret=SECRET)
    token = (await orchestrator.info()).auth_token
    credentials = credentials_for(token, SOURCE, capabilities=None)
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials, signer=None))
    assert outcome.error == "no transcoders available"


@contextlib.asynccontextmanager
async def bare_worker(orchestrator):
    """A registered stream in the test's own hands; leaving breaks its connection, as the end of a process does."""
    channel = await open_channel(parse_endpoint(orchestrator.uri), timeout_s=10)
    register = channel.unary_stream(
        "/net.Transcoder/RegisterTranscoder",
        request_serializer=pb.RegisterRequest.SerializeToString,
        response_deserializer=pb.NotifySegment.FromString,
    )
    capabilities = capabilities_to_proto(Capabilities.of(TRANSCODING_IDS))
    call = register(pb.RegisterRequest(secret=SECRET, capacity=1, capabilities=capabilities))
    await until(lambda: workers(orchestrator))
    try:
        yield call
    finally:
        call.cancel()
        await channel.close(None)


async def test_worker__killed_with_a_segment__another_does_it(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    async with asyncio.TaskGroup() as group:
        async with bare_worker(orchestrator) as call:
            token = (await orchestrator.info()).auth_token
            sent = group.create_task(send(orchestrator, token))
            await call.read()
        await until(lambda: not workers(orchestrator))
        second = await work_for(orchestrator)
        outcome = await sent
    assert outcome.error is None
    assert len(second.transcoder.jobs) == 1


async def test_worker__killed_and_nobody_left__fails_clearly(serve):
    orchestrator = await serve(worker_secret=SECRET)
    orchestrator.server.pool._least_wait_s = 0.5
    async with asyncio.TaskGroup() as group, bare_worker(orchestrator) as call:
        token = (await orchestrator.info()).auth_token
        credentials = credentials_for(token, SOURCE, duration_ms=1)
        sent = group.create_task(orchestrator.segment(SOURCE, work_headers(credentials, signer=None)))
        await call.read()
    assert (await sent).error == "Remote transcoder took too long"


async def test_worker__stops_with_a_segment_under_way__delivers_it(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    slow = RecordingTranscoder()
    slow.gate.clear()
    async with asyncio.TaskGroup() as group:
        async with contextlib.AsyncExitStack() as life:
            await work_for(orchestrator, transcoder=slow, on=life)
            await until(lambda: workers(orchestrator))
            token = (await orchestrator.info()).auth_token
            sent = group.create_task(send(orchestrator, token))
            await until(lambda: slow.jobs)
            stopping = group.create_task(life.aclose())
            await until(lambda: not workers(orchestrator))
            slow.gate.set()
            await stopping
        assert (await sent).error is None
    assert len(slow.jobs) == 1


async def test_worker__stops_with_a_job_that_hangs__is_bounded(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    stuck = RecordingTranscoder()
    stuck.gate.clear()
    async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as life:
        hands = await work_for(orchestrator, transcoder=stuck, on=life)
        hands.worker._link._drain_s = 0.1
        await until(lambda: workers(orchestrator))
        token = (await orchestrator.info()).auth_token
        sent = group.create_task(send(orchestrator, token))
        await until(lambda: stuck.jobs)
        async with asyncio.timeout(15):
            await life.aclose()
        stuck.gate.set()
        await orchestrator.server._sessions.end(token.session)
        assert (await sent).error == "TranscoderStopped"


async def test_worker__a_job_breaks_unforeseen__the_others_go_on(serve, work_for):
    class Broken(RecordingTranscoder):
        async def transcode(self, job):
            if job.sequence == 1:
                raise OSError(28, "No space left on device")
            return await super().transcode(job)

    orchestrator = await serve(worker_secret=SECRET)
    hands = await work_for(orchestrator, transcoder=Broken())
    await until(lambda: workers(orchestrator))
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token, sequence=1)).error == "TranscoderStopped"
    assert (await send(orchestrator, token, sequence=2)).error is None
    await until(lambda: (hands.worker.snapshot().failed, hands.worker.snapshot().done) == (1, 1))


async def test_worker__secret_that_is_not_ascii__joins_and_delivers(serve, work_for):
    orchestrator = await serve(worker_secret="schlüssel")
    await work_for(orchestrator, secret="schlüssel")
    await until(lambda: workers(orchestrator))
    assert (await send(orchestrator, (await orchestrator.info()).auth_token)).error is None


async def test_worker__silent__times_out_and_is_dropped(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    orchestrator.server.pool._least_wait_s = 0.3
    stuck = RecordingTranscoder()
    stuck.gate.clear()
    await work_for(orchestrator, transcoder=stuck)
    await until(lambda: workers(orchestrator))
    token = (await orchestrator.info()).auth_token
    credentials = credentials_for(token, SOURCE, duration_ms=1)
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials, signer=None))
    assert outcome.error == "Remote transcoder took too long"
    assert workers(orchestrator) == ()
    stuck.gate.set()
    await until(lambda: workers(orchestrator))  # it comes back


async def test_worker__orchestrator_restarts__joins_again(serve, work_for):
    port = free_port()
    orchestrator = await serve(worker_secret=SECRET, port=port)
    hands = await work_for(orchestrator)
    await until(lambda: workers(orchestrator))
    await orchestrator.server.__aexit__(None, None, None)
    await until(lambda: hands.condition.reason == "Disconnected")
    again = await serve(worker_secret=SECRET, port=port)
    await until(lambda: workers(again))
    await until(lambda: hands.condition.status is Status.TRUE)


async def test_local_devices_full__next_session_goes_to_a_worker(serve, work_for):
    local = RecordingTranscoder()
    orchestrator = await serve(worker_secret=SECRET, transcoder=local, local_sessions=1)
    hands = await work_for(orchestrator)
    await until(lambda: workers(orchestrator))
    for _ in range(2):
        token = (await orchestrator.info()).auth_token
        assert (await send(orchestrator, token)).error is None
    assert (len(local.jobs), len(hands.transcoder.jobs)) == (1, 1)


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"Authorization": "Livepeer-Transcoder-0.9"}, 401, "Unauthorized\n"),
        ({"Credentials": "guess"}, 401, "Unauthorized\n"),
        ({"Content-Type": "nonsense"}, 415, "mime: no media type\n"),
        ({"TaskId": "seven"}, 400, "Invalid Task ID\n"),
        ({"Pixels": "many"}, 400, "Invalid Pixels\n"),
        ({"Content-Type": "text/plain"}, 200, "OK"),
        ({"TaskId": "4711"}, 200, "OK"),
        ({"TaskId": "4711", "Content-Type": "livepeer/transcoding-error"}, 200, "OK"),
    ],
)
async def test_transcode_results__each_fault__has_its_answer(serve, change, status, text):
    orchestrator = await serve(worker_secret=SECRET)
    headers = {
        "Authorization": "Livepeer-Transcoder-1.0",
        "Credentials": SECRET,
        "TaskId": "0",
        "Pixels": "0",
        "Content-Type": "multipart/mixed; boundary=aabbccddeeff00112233",
    }
    async with httpx.AsyncClient(verify=False, http1=False, http2=True) as h2_only:
        response = await h2_only.post(
            f"{orchestrator.uri}/transcodeResults", content=b"--x--", headers=headers | change
        )
    assert (response.status_code, response.text) == (status, text)
    assert response.http_version == "HTTP/2"


async def test_transcode_results__broken_multipart__fails_the_task(serve):
    orchestrator = await serve(worker_secret=SECRET)
    async with bare_worker(orchestrator) as call:
        await _upload_half(orchestrator, call)


async def _upload_half(orchestrator, call):
    token = (await orchestrator.info()).auth_token
    async with asyncio.TaskGroup() as group:
        sent = group.create_task(send(orchestrator, token))
        task = await call.read()
        assert task.taskId == 0
        assert task.profiles == b"invalid"
        assert task.segData.hash == b"\0" * 32
        assert task.segData.fullProfiles[0].name == a_profile().name
        source = await orchestrator.http.get(task.url)
        assert source.content == SOURCE
        assert "content-type" not in source.headers
        response = await orchestrator.http.post(
            f"{orchestrator.uri}/transcodeResults",
            content=b"--bb\r\nPixels: 1\r\n\r\nhalf a rendition",
            headers={
                "Authorization": "Livepeer-Transcoder-1.0",
                "Credentials": SECRET,
                "TaskId": "0",
                "Pixels": "9",
                "Content-Type": "multipart/mixed; boundary=bb",
            },
        )
        assert response.status_code == 500
        outcome = await sent
    assert outcome.error == "unexpected end of the multipart body"
