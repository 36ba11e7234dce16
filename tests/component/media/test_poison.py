"""Segments that take real worker processes down: remembered, and refused before they do it again."""

import asyncio
import os
import random
import signal

import pytest

from livefleet.kernel import ConditionBoard, Status, SystemClock
from livefleet.media import CPU, NO_LIMIT, Device, LocalTranscoder, TranscodeError
from livefleet.media.inspection import inspect
from tests.builders.media import a_job, a_segment

pytestmark = pytest.mark.component

PATIENCE_S = 60


@pytest.fixture(scope="module")
def other_segment():
    return a_segment()


@pytest.fixture
def make(tmp_path):
    def build(*devices, **changes):
        clock = SystemClock()
        fields = {"run_dir": tmp_path / "media", "board": ConditionBoard(clock), "clock": clock}
        fields |= {"rng": random.Random(1), "ready_timeout_s": PATIENCE_S, "max_load": NO_LIMIT}
        return LocalTranscoder(devices or (CPU,), **fields | changes)

    return build


async def until(predicate):
    async with asyncio.timeout(PATIENCE_S):
        while not predicate():
            await asyncio.sleep(0.02)


async def outcome(work):
    try:
        return await work
    except TranscodeError as error:
        return error


def at_work(run_dir, device=0):
    return any(run_dir.glob(f"device-{device}/job-*/rendition-*"))


async def kill_under(job, transcoder, run_dir, times, device="cpu"):
    """Take the device's process down whenever it has begun with an output, as a hostile segment would."""
    for _ in range(times):
        await until(lambda: job.done() or at_work(run_dir))
        pid = transcoder.worker_pids[device]
        os.kill(pid, signal.SIGKILL)
        await until(lambda gone=pid: transcoder.worker_pids[device] not in (None, gone))


async def test_killed_twice__the_third_time_is_refused_and_the_worker_lives(
    make, long_segment, other_segment, heavy, tmp_path
):
    async with make(Device("cpu", slots=1)) as transcoder:
        async with asyncio.TaskGroup() as group:
            job = group.create_task(outcome(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))))
            await kill_under(job, transcoder, tmp_path / "media", times=2)
        assert job.result().text == "TranscoderStopped"
        pid = transcoder.worker_pids["cpu"]
        source = tmp_path / "same.ts"
        source.write_bytes(long_segment)
        for same in (long_segment, source):  # in memory or in a file, from whichever session
            refused = await outcome(transcoder.transcode(a_job(same, heavy, session="another", duration_ms=2000)))
            assert refused.text == "TranscoderInvalidVideo"
        assert transcoder.sessions == 1, "a refused segment opens no session"
        await transcoder.transcode(a_job(other_segment))
        assert transcoder.worker_pids["cpu"] == pid


async def test_killed_once__a_segment_that_then_comes_through_is_no_suspect(make, long_segment, heavy, tmp_path):
    async with make(Device("cpu", slots=1)) as transcoder:
        for sequence in range(2):
            async with asyncio.TaskGroup() as group:
                work = transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000, sequence=sequence))
                job = group.create_task(outcome(work))
                await kill_under(job, transcoder, tmp_path / "media", times=1)
            assert inspect(job.result().renditions[0].data).frames == 60


async def test_hung_twice__is_poison_too(make, board, other_segment):
    async with make(board=board, deadline_s=lambda duration_ms: 0.3 if duration_ms == 1 else PATIENCE_S) as transcoder:
        for _ in range(2):
            await until(lambda: board.all()[0].status is Status.TRUE)
            os.kill(transcoder.worker_pids["cpu"], signal.SIGSTOP)
            failed = await outcome(transcoder.transcode(a_job(other_segment, duration_ms=1)))
            assert (failed.text, failed.detail) == ("TranscoderStopped", "no answer within 0.3 s")
        refused = await outcome(transcoder.transcode(a_job(other_segment, duration_ms=1)))
        assert refused.text == "TranscoderInvalidVideo"


async def test_closing__lost_jobs_are_not_held_against_segments(make, long_segment, heavy, tmp_path):
    transcoder = make(Device("cpu", slots=1), drain_s=0.1)
    async with asyncio.TaskGroup() as group, transcoder:
        job = group.create_task(outcome(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))))
        await until(lambda: at_work(tmp_path / "media"))
    assert job.result().text == "TranscoderStopped"
    assert len(transcoder._poison) == 0
