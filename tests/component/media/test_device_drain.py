"""A device that is emptied: its sessions go on elsewhere, and what is in work there is finished."""

import asyncio
import os
import random
import signal

import pytest

from livefleet.kernel import SessionId, Status, SystemClock
from livefleet.media import NO_LIMIT, TRANSCODER_READY, Device, LocalTranscoder, TranscodeError, device_lane
from livefleet.media.inspection import inspect
from tests.builders.media import a_job, a_profile

pytestmark = pytest.mark.component

PATIENCE_S = 60


@pytest.fixture
def make(tmp_path, board):
    def build(*devices):
        return LocalTranscoder(
            [Device(name, slots=1) for name in devices],
            run_dir=tmp_path / "media",
            board=board,
            clock=SystemClock(),
            max_load=NO_LIMIT,
            rng=random.Random(1),
            ready_timeout_s=PATIENCE_S,
            deadline_s=lambda _: PATIENCE_S,
        )

    return build


async def until(predicate):
    async with asyncio.timeout(PATIENCE_S):
        while not predicate():
            await asyncio.sleep(0.02)


def is_ready(board, device):
    return any((c.name, c.subject, c.status) == (TRANSCODER_READY, device, Status.TRUE) for c in board.all())


def sessions(transcoder):
    return {device.id: device.sessions for device in transcoder.load.devices}


async def test_one_of_two__its_session_moves_and_its_job_is_finished(make, long_segment, heavy):
    async with make("one", "two") as transcoder:
        async with asyncio.TaskGroup() as group:
            job = group.create_task(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000)))
            await until(lambda: transcoder.device_jobs == {"one": 1, "two": 0})
            transcoder.empty(["one"])
            assert sessions(transcoder) == {"one": 0, "two": 1}
            assert transcoder.capacity == 5  # of 10: half of the devices serve
            assert transcoder.device_jobs["one"] == 1
            assert not transcoder.is_emptied
        assert inspect(job.result().renditions[0].data).frames == 60
        assert transcoder.device_jobs == {"one": 0, "two": 0}
        transcoder.open_session(SessionId("s2"), [a_profile()])
        assert sessions(transcoder) == {"one": 0, "two": 2}
        assert transcoder.emptying == {"one"}

        transcoder.empty([])
        transcoder.open_session(SessionId("s3"), [a_profile()])
        assert sessions(transcoder)["one"] == 1
        assert transcoder.capacity == 10


async def test_one_that_cannot_work__is_not_missed_while_it_is_emptied__and_proves_itself_when_it_is_back(make, board):
    async with make("one", "two") as transcoder:
        first = transcoder.worker_pids["one"]
        transcoder.empty(["one"])
        os.kill(first, signal.SIGKILL)
        await until(lambda: not is_ready(board, "one"))
        assert not board.blocking()
        await until(lambda: is_ready(board, "one"))
        second = transcoder.worker_pids["one"]
        os.kill(second, signal.SIGKILL)
        transcoder.empty(["one", "two"])
        await until(lambda: not is_ready(board, "one"))
        assert [condition.subject for condition in board.blocking()] == ["one"]
        await until(lambda: is_ready(board, "one"))


async def test_process_that_the_fault_took_along__is_found_out_when_its_device_is_back(make, monkeypatch):
    monkeypatch.setattr(device_lane, "_PROOF_S", 0.5)
    async with make("one", "two") as transcoder:
        spoilt = transcoder.worker_pids["one"]
        transcoder.empty(["one"])
        os.kill(spoilt, signal.SIGSTOP)  # it takes whatever it is given, and answers nothing
        transcoder.empty([])
        await until(lambda: transcoder.worker_pids["one"] not in {None, spoilt})
        assert transcoder.failed_proofs == {"one": 1, "two": 0}


async def test_the_only_one__open_session_goes_on_and_no_other_comes(make, segment):
    async with make("one") as transcoder:
        transcoder.open_session(SessionId("s1"), [a_profile()])
        transcoder.empty(["one", "never-there"])
        assert transcoder.is_emptied
        assert not transcoder.has_room()
        assert not transcoder.open_session(SessionId("s2"), [a_profile()])
        with pytest.raises(TranscodeError, match="TranscoderBusy"):
            await transcoder.transcode(a_job(segment, session="s2"))
        result = await transcoder.transcode(a_job(segment, session="s1"))
        assert inspect(result.renditions[0].data).frames
        transcoder.empty([])
        assert transcoder.open_session(SessionId("s2"), [a_profile()])
