"""What one device loses, another does."""

import asyncio
import os
import random
import signal

import pytest

from livefleet.kernel import SessionId, Status, SystemClock
from livefleet.media import NO_LIMIT, TRANSCODER_READY, Device, LocalTranscoder
from livefleet.media.inspection import inspect
from tests.builders.media import a_job

pytestmark = pytest.mark.component

PATIENCE_S = 60


@pytest.fixture
def make(tmp_path, board):
    def build(**changes):
        fields = {"run_dir": tmp_path / "media", "board": board, "clock": SystemClock(), "max_load": NO_LIMIT}
        fields |= {"rng": random.Random(1), "ready_timeout_s": PATIENCE_S}
        return LocalTranscoder([Device("one", slots=1), Device("two", slots=1)], **fields | changes)

    return build


async def until(predicate):
    async with asyncio.timeout(PATIENCE_S):
        while not predicate():
            await asyncio.sleep(0.02)


def is_ready(board, device):
    return any((c.name, c.subject, c.status) == (TRANSCODER_READY, device, Status.TRUE) for c in board.all())


def sessions(transcoder):
    return {device.id: device.sessions for device in transcoder.load.devices}


async def test_crash__segment_is_done_by_the_other_at_once(make, board, long_segment, heavy, tmp_path):
    async with make() as transcoder:
        two = transcoder.worker_pids["two"]
        async with asyncio.TaskGroup() as group:
            job = group.create_task(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000)))
            await until(lambda: any((tmp_path / "media").glob("device-0/job-*/rendition-*")))
            os.kill(transcoder.worker_pids["one"], signal.SIGKILL)
        assert inspect(job.result().renditions[0].data).frames == 60
        assert sessions(transcoder) == {"one": 0, "two": 1}
        assert transcoder.worker_pids["two"] == two
        await until(lambda: is_ready(board, "one"))


async def test_hang__beyond_the_deadline__is_done_by_the_other(make, long_segment, heavy):
    async with make(deadline_s=lambda duration_ms: 0.2 if duration_ms == 2001 else PATIENCE_S) as transcoder:
        transcoder.open_session(SessionId("s1"), [heavy])
        assert sessions(transcoder) == {"one": 1, "two": 0}
        os.kill(transcoder.worker_pids["one"], signal.SIGSTOP)
        with pytest.raises(Exception, match="TranscoderStopped"):  # the other one, too, may take 0.2 s only
            await transcoder.transcode(a_job(long_segment, heavy, duration_ms=2001))
        assert sessions(transcoder) == {"one": 0, "two": 1}
        result = await transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))
        assert inspect(result.renditions[0].data).frames == 60


async def test_standstill__long_before_the_deadline__is_done_by_the_other(make, board, long_segment, heavy):
    """A process that uses no CPU time under a job is gone for good, and the gateway still waits."""
    async with make(deadline_s=lambda _: 600.0) as transcoder:
        transcoder.open_session(SessionId("s1"), [heavy])
        hanging = transcoder.worker_pids["one"]
        os.kill(hanging, signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_S):
            result = await transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))
        assert inspect(result.renditions[0].data).frames == 60
        assert sessions(transcoder) == {"one": 0, "two": 1}
        await until(lambda: is_ready(board, "one"))
        assert transcoder.worker_pids["one"] != hanging
