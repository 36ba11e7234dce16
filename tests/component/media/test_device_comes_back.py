"""What a node tells of a device whose process has just died: it comes back, and its sessions can wait for that."""

import asyncio
import os
import signal

import pytest

from livefleet.kernel import SystemClock
from livefleet.media import Device, LocalTranscoder
from tests.builders.media import a_job, a_segment

pytestmark = pytest.mark.component


async def test_capabilities__process_killed__stay_until_it_is_back(tmp_path, board):
    async with LocalTranscoder(
        [Device("cpu")], run_dir=tmp_path / "media", board=board, clock=SystemClock(), cores=100.0, ready_timeout_s=60
    ) as transcoder:
        known = transcoder.capability_ids
        (pid,) = transcoder.worker_pids.values()
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while list(transcoder.worker_pids.values()) == [pid]:
                assert transcoder.capability_ids == known
                await asyncio.sleep(0.01)
            assert transcoder.capability_ids == known  # of none that is ready
            done = await transcoder.transcode(a_job(a_segment()))
        assert len(done.renditions) == 1
        assert transcoder.capability_ids == known
    assert transcoder.capability_ids == frozenset()
