"""A device that is emptied: its sessions go on elsewhere, and what is in work there is finished."""

import asyncio
import random

import pytest

from livefleet.kernel import SessionId, SystemClock
from livefleet.media import NO_LIMIT, Device, LocalTranscoder, TranscodeError
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


def sessions(transcoder):
    return {device.id: device.sessions for device in transcoder.load.devices}


async def test_one_of_two__its_session_moves_and_its_job_is_finished(make, long_segment, heavy):
    async with make("one", "two") as transcoder:
        async with asyncio.TaskGroup() as group:
            job = group.create_task(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000)))
            await until(lambda: transcoder.device_jobs == {"one": 1, "two": 0})
            transcoder.empty(["one"])
            assert sessions(transcoder) == {"one": 0, "two": 1}
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
