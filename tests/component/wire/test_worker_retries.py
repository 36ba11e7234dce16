"""What one worker cannot do costs no segment where another can, and a drained worker's sessions move."""

import asyncio
import contextlib

import pytest

from livefleet.kernel import Backoff, ConditionBoard, Intake, Status, SystemClock
from livefleet.wire.worker import JOINED_ORCHESTRATOR, Worker
from tests.builders.wire import RecordingTranscoder, a_rng, credentials_for, until, work_headers

pytestmark = pytest.mark.component

SECRET = "test-only-secret"
SOURCE = b"S" * 5000


@pytest.fixture
async def work_for():
    """`await work_for(orchestrator)` joins a worker that the test's end closes; entered only with `drained=False`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(orchestrator, transcoder=None, *, capacity=4, drained=False):
            worker = Worker(
                orchestrator=orchestrator.uri.removeprefix("https://"),
                secret=SECRET,
                capacity=capacity,
                transcoder=transcoder or RecordingTranscoder(),
                board=ConditionBoard(SystemClock()),
                rng=a_rng(),
                backoff=Backoff(first_s=0.1, cap_s=1),
                drain_s=10,
            )
            worker.drain(on=drained)
            before = len(workers(orchestrator))
            await stack.enter_async_context(worker)
            if not drained:
                await until(lambda: len(workers(orchestrator)) > before)
            return worker

        yield start


def workers(orchestrator):
    return orchestrator.server.snapshot().workers


def condition(worker):
    return next(c for c in worker._link._board.all() if c.name == JOINED_ORCHESTRATOR)


async def send(orchestrator, token, sequence=7, **changes):
    credentials = credentials_for(token, SOURCE, sequence=sequence, **changes)
    return await orchestrator.segment(SOURCE, work_headers(credentials, signer=None))


@pytest.mark.parametrize("text", ["TranscoderBusy", "TranscoderStopped", "404 Not Found", "some trouble of a GPU"])
async def test_worker__cannot__another_does_it_and_keeps_the_session(serve, work_for, text):
    orchestrator = await serve(worker_secret=SECRET)
    bad, good = RecordingTranscoder(failure=text), RecordingTranscoder()
    await work_for(orchestrator, bad)
    await work_for(orchestrator, good)
    token = (await orchestrator.info()).auth_token
    for sequence in (1, 2):
        assert (await send(orchestrator, token, sequence=sequence)).error is None
    assert [job.sequence for job in good.jobs] == [1, 2]
    assert [job.sequence for job in bad.jobs] == [1]
    assert bad.ended == [token.session]
    assert orchestrator.server.pool.retries == 1


async def test_worker__cannot_and_is_alone__its_text_reaches_the_gateway(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    await work_for(orchestrator, RecordingTranscoder(failure="TranscoderBusy"))
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token)).error == "TranscoderBusy"


@pytest.mark.parametrize(
    "text", ["No keyframes in input", "TranscoderInvalidVideo", "Invalid data found when processing input"]
)
async def test_worker__input_is_at_fault__no_other_is_bothered(serve, work_for, text):
    orchestrator = await serve(worker_secret=SECRET)
    both = [RecordingTranscoder(failure=text), RecordingTranscoder(failure=text)]
    for transcoder in both:
        await work_for(orchestrator, transcoder)
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token)).error == text
    assert sum(len(transcoder.jobs) for transcoder in both) == 1


async def test_workers__all_stop_over_a_segment__it_does_not_go_round_them_all(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    all_of_them = [RecordingTranscoder(failure="TranscoderStopped") for _ in range(5)]
    for transcoder in all_of_them:
        await work_for(orchestrator, transcoder)
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token)).error == "TranscoderStopped"
    assert sum(len(transcoder.jobs) for transcoder in all_of_them) == 3


async def test_worker__hangs__another_does_it_in_half_of_the_time(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    orchestrator.server.pool._least_wait_s = 3.0
    stuck, good = RecordingTranscoder(), RecordingTranscoder()
    stuck.gate.clear()
    await work_for(orchestrator, stuck)
    token = (await orchestrator.info()).auth_token
    sending = asyncio.create_task(send(orchestrator, token, duration_ms=1))
    await until(lambda: stuck.jobs)
    await work_for(orchestrator, good)
    assert (await sending).error is None
    assert len(good.jobs) == 1
    other = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, other)).error is None
    assert len(stuck.jobs) == 1  # nothing new goes where nothing is heard of
    stuck.gate.set()


async def test_worker__slow_one_is_first_after_all__its_result_is_taken(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    orchestrator.server.pool._least_wait_s = 4.0
    slow, stuck = RecordingTranscoder(), RecordingTranscoder()
    for transcoder in (slow, stuck):
        transcoder.gate.clear()
    await work_for(orchestrator, slow)
    token = (await orchestrator.info()).auth_token
    sending = asyncio.create_task(send(orchestrator, token, duration_ms=1))
    await until(lambda: slow.jobs)
    await work_for(orchestrator, stuck)
    await until(lambda: stuck.jobs)
    slow.gate.set()
    assert (await sending).error is None
    stuck.gate.set()


async def test_drain__session_moves_and_what_is_under_way_is_brought(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    first, second = RecordingTranscoder(), RecordingTranscoder()
    worker = await work_for(orchestrator, first)
    token = (await orchestrator.info()).auth_token
    first.gate.clear()
    sending = asyncio.create_task(send(orchestrator, token, sequence=1))
    await until(lambda: first.jobs)
    worker.drain(on=True)
    await until(lambda: not workers(orchestrator))
    assert (condition(worker).status, condition(worker).reason) == (Status.FALSE, "Drained")
    assert not condition(worker).gates_ready
    assert worker.jobs == 1
    first.gate.set()
    assert (await sending).error is None
    await until(lambda: worker.snapshot().done == 1)  # it hears of its upload after the gateway of the result

    await work_for(orchestrator, second)
    assert (await send(orchestrator, token, sequence=2)).error is None
    assert [job.sequence for job in second.jobs] == [2]
    assert len(first.jobs) == 1

    worker.drain(on=False)
    await until(lambda: len(workers(orchestrator)) == 2)
    assert first.ended == [token.session]  # its place is free for others
    await until(lambda: condition(worker).status is Status.TRUE)


async def test_drain__nobody_else_is_there__the_next_segment_waits_for_one(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    worker = await work_for(orchestrator)
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token, sequence=1)).error is None
    worker.drain(on=True)
    await until(lambda: not workers(orchestrator))
    sending = asyncio.create_task(send(orchestrator, token, sequence=2))
    await asyncio.sleep(0.3)
    assert not sending.done()
    second = RecordingTranscoder()
    await work_for(orchestrator, second)
    assert (await sending).error is None
    assert [job.sequence for job in second.jobs] == [2]


async def test_drained_from_the_start__does_not_join(serve, work_for):
    orchestrator = await serve(worker_secret=SECRET)
    worker = await work_for(orchestrator, drained=True)
    await asyncio.sleep(0.5)
    assert workers(orchestrator) == ()
    assert condition(worker).reason == "Drained"
    worker.drain(on=False)
    await until(lambda: workers(orchestrator))


async def test_local_devices__cannot__a_worker_does_it(serve, work_for):
    local, remote = RecordingTranscoder(failure="TranscoderStopped"), RecordingTranscoder()
    orchestrator = await serve(worker_secret=SECRET, transcoder=local, local_sessions=1)
    await work_for(orchestrator, remote)
    token = (await orchestrator.info()).auth_token
    for sequence in (1, 2):
        assert (await send(orchestrator, token, sequence=sequence)).error is None
    assert (len(local.jobs), len(remote.jobs)) == (1, 2)
    assert local.ended == [token.session]


async def test_workers__cannot__local_devices_do_it(serve, work_for):
    local, remote = RecordingTranscoder(), RecordingTranscoder()
    orchestrator = await serve(worker_secret=SECRET, transcoder=local, local_sessions=1)
    await work_for(orchestrator, remote)
    first, second = [(await orchestrator.info()).auth_token for _ in range(2)]
    assert (await send(orchestrator, first)).error is None
    assert (await send(orchestrator, second, sequence=1)).error is None
    await orchestrator.server._sessions.end(first.session)  # the local place is free
    remote.failure = "TranscoderStopped"
    for sequence in (2, 3):
        assert (await send(orchestrator, second, sequence=sequence)).error is None
    assert [(job.session, job.sequence) for job in local.jobs][1:] == [(second.session, 2), (second.session, 3)]
    assert [job.sequence for job in remote.jobs] == [1, 2]


async def test_workers__cannot_and_no_local_place_is_free__their_text_reaches_the_gateway(serve, work_for):
    local, remote = RecordingTranscoder(), RecordingTranscoder(failure="TranscoderStopped")
    orchestrator = await serve(worker_secret=SECRET, transcoder=local, local_sessions=1)
    await work_for(orchestrator, remote)
    first, second = [(await orchestrator.info()).auth_token for _ in range(2)]
    assert (await send(orchestrator, first)).error is None
    assert (await send(orchestrator, second)).error == "TranscoderStopped"


async def test_local_devices_emptied__session_moves_to_a_worker(serve, work_for):
    local, remote = RecordingTranscoder(), RecordingTranscoder()
    orchestrator = await serve(worker_secret=SECRET, transcoder=local, local_sessions=4)
    token = (await orchestrator.info()).auth_token
    assert (await send(orchestrator, token, sequence=1)).error is None
    local.is_emptied = True
    assert (await send(orchestrator, token, sequence=2)).error is None  # nobody else is there
    await work_for(orchestrator, remote)
    assert (await send(orchestrator, token, sequence=3)).error is None
    assert ([job.sequence for job in local.jobs], [job.sequence for job in remote.jobs]) == ([1, 2], [3])


async def test_orchestrator_drain__open_sessions_go_on_until_it_is_closed(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    known, late = (await orchestrator.info()).auth_token, (await orchestrator.info()).auth_token
    assert (await send(orchestrator, known, sequence=1)).error is None
    orchestrator.server.take(Intake.RUNNING)
    with pytest.raises(Exception, match="OrchestratorCapped"):
        await orchestrator.info()
    assert (await send(orchestrator, known, sequence=2)).error is None
    assert await refused(orchestrator, late) == (403, "OrchestratorCapped")
    orchestrator.server.take(Intake.CLOSED)
    assert await refused(orchestrator, known) == (403, "OrchestratorCapped")
    orchestrator.server.take(Intake.OPEN)
    assert (await send(orchestrator, late, sequence=1)).error is None


async def test_orchestrator_drain__closed_under_a_segment__it_is_finished(serve):
    transcoder = RecordingTranscoder()
    transcoder.gate.clear()
    orchestrator = await serve(transcoder=transcoder)
    token = (await orchestrator.info()).auth_token
    sending = asyncio.create_task(send(orchestrator, token))
    await until(lambda: transcoder.jobs)
    orchestrator.server.take(Intake.CLOSED)
    assert orchestrator.server.in_flight == 1
    transcoder.gate.set()
    assert (await sending).error is None
    assert orchestrator.server.in_flight == 0


async def refused(orchestrator, token):
    credentials = credentials_for(token, SOURCE)
    response = await orchestrator.http.post(
        f"{orchestrator.uri}/segment", content=SOURCE, headers=work_headers(credentials, signer=None)
    )
    return response.status_code, response.text.strip()
