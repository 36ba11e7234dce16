import asyncio
import contextlib

import pytest

from livefleet.kernel import Intake, Refused, SessionId
from livefleet.wire.server.sessions import TranscodingSessions

pytestmark = pytest.mark.unit

A, B = SessionId("a"), SessionId("b")


@pytest.fixture
def ended():
    return []


@pytest.fixture
async def sessions(ended):
    async def on_end(session):
        ended.append(session)

    async with TranscodingSessions(1, on_end, idle_s=60) as sessions:
        yield sessions


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_run__second_session__is_capped(sessions):
    async def work():
        return 1

    assert await sessions.run(A, work) == 1
    assert sessions.is_full
    assert sessions.admits(A)
    assert not sessions.admits(B)
    with pytest.raises(Refused, match="OrchestratorCapped"):
        await sessions.run(B, work)


async def test_drain__taken_work_is_finished_and_nothing_new_taken(sessions):
    gate, done = asyncio.Event(), []

    async def work():
        await gate.wait()
        done.append(True)

    async with asyncio.TaskGroup() as group:
        taken = [group.create_task(sessions.run(A, work)) for _ in range(2)]
        await turns()
        draining = group.create_task(sessions.drain())
        await turns()
        assert not draining.done()
        assert sessions.is_full
        for session in (A, B):
            with pytest.raises(Refused, match="OrchestratorCapped"):
                await sessions.run(session, work)
        gate.set()
        await draining
        await asyncio.gather(*taken)
    assert done == [True, True]


async def test_drain__session_ended_meanwhile__is_not_waited_for(sessions):
    async def work():
        await asyncio.Event().wait()

    async def refusal():
        with pytest.raises(Refused) as refused:
            await sessions.run(A, work)
        return refused.value.text

    async with asyncio.TaskGroup() as group:
        taken = [group.create_task(refusal()) for _ in range(2)]
        await turns()
        draining = group.create_task(sessions.drain())
        await turns()
        await sessions.end(A)
        await draining
    assert [task.result() for task in taken] == ["TranscoderStopped"] * 2


async def test_run__five_unfinished__sixth_is_busy(sessions):
    gate = asyncio.Event()
    order = []

    def job(number):
        async def work():
            await gate.wait()
            order.append(number)
            return number

        return work

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(sessions.run(A, job(n))) for n in range(5)]
        await turns()
        with pytest.raises(Refused, match="OrchestratorBusy"):
            await sessions.run(A, job(5))
        gate.set()
    assert [task.result() for task in running] == order == [0, 1, 2, 3, 4]


def test_arriving__no_more_than_could_wait_and_no_more_sessions_than_are_taken(sessions):
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(sessions.arriving(A))
        with pytest.raises(Refused, match="OrchestratorBusy"):
            stack.enter_context(sessions.arriving(A))
        with pytest.raises(Refused, match="OrchestratorCapped") as capped:
            stack.enter_context(sessions.arriving(B))
        assert capped.value.status == 403
    with sessions.arriving(B):  # read or broken off, their places are free again
        pass


async def test_run__work_fails__next_one_is_served(sessions):
    async def fail():
        raise ValueError("bad segment")

    async def work():
        return "good"

    with pytest.raises(Refused, match="Internal Server Error"):  # what broke is for the log, not for the peer
        await sessions.run(A, fail)
    assert await sessions.run(A, work) == "good"


async def test_run__asker_gives_up__work_is_finished(sessions):
    gate, done = asyncio.Event(), asyncio.Event()

    async def work():
        await gate.wait()
        done.set()

    asker = asyncio.get_running_loop().create_task(sessions.run(A, work))
    await turns()
    asker.cancel()
    await asyncio.wait({asker})
    gate.set()
    await done.wait()


async def test_end__running_and_waiting_work__is_stopped(sessions, ended):
    async def forever():
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_refused(sessions.run(A, forever))) for _ in range(3)]
        await turns()
        await sessions.end(A)
    assert [task.result() for task in running] == ["TranscoderStopped"] * 3
    assert ended == [A]
    assert len(sessions) == 0
    await sessions.end(A)


async def _refused(awaitable):
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value.text


async def test_intake__running__open_sessions_alone_are_served(ended):
    async def on_end(session):
        ended.append(session)

    async def work():
        return 1

    async with TranscodingSessions(10, on_end, idle_s=60) as sessions:
        await sessions.run(A, work)
        sessions.intake = Intake.RUNNING
        assert sessions.is_full
        assert await sessions.run(A, work) == 1
        with pytest.raises(Refused, match="OrchestratorCapped"):
            await sessions.run(B, work)
        with pytest.raises(Refused, match="OrchestratorCapped"), sessions.arriving(B):
            pass
        sessions.intake = Intake.CLOSED
        with pytest.raises(Refused, match="OrchestratorCapped"):
            await sessions.run(A, work)
        sessions.intake = Intake.OPEN
        assert await sessions.run(B, work) == 1


async def test_unfinished__counts_what_arrives_waits_and_is_worked_on(sessions):
    gate = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(sessions.run(A, gate.wait))
        await turns()
        with sessions.arriving(A):
            assert sessions.unfinished == 3
        assert sessions.unfinished == 2
        gate.set()
    assert sessions.unfinished == 0


async def test_running__a_stream_is_expected_to_go_on_for_two_of_its_paces(sessions, monkeypatch):
    loop, now = asyncio.get_running_loop(), 1000.0
    monkeypatch.setattr(loop, "time", lambda: now)

    async def work():
        return 1

    await sessions.run(A, work)
    now += 2.0
    await sessions.run(A, work)
    now += 4.9
    assert sessions.running == 1
    now += 0.2
    assert sessions.running == 0
    assert len(sessions) == 1


async def test_let_run__no_stream_goes_on__is_over_at_once_and_takes_nobody_new(sessions):
    async with asyncio.timeout(5):
        await sessions.let_run(60)
    assert sessions.intake is Intake.RUNNING


async def test_let_run__closed_meanwhile__is_over(sessions):
    gate = asyncio.Event()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(sessions.run(A, gate.wait))
        await turns()
        letting = group.create_task(sessions.let_run(60))
        await turns()
        assert not letting.done()
        sessions.intake = Intake.CLOSED
        await letting
        gate.set()
