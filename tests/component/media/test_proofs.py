"""A device that transcodes nothing any more is not offered, and is again when it does."""

import asyncio
import time

import pytest

from livefleet.kernel import SystemClock
from livefleet.media import Device, DeviceKind, LocalTranscoder
from livefleet.media.probing import probe_device, proof_problem
from tests.builders.media import a_job, a_segment

pytestmark = pytest.mark.component

CPU = Device("cpu")


def a_transcoder(folder, board, **settings):
    return LocalTranscoder(
        [CPU], run_dir=folder / "media", board=board, clock=SystemClock(), cores=100.0, ready_timeout_s=60, **settings
    )


def reason(board):
    return next(c.reason for c in board.all() if c.name == "TranscoderReady")


async def until(holds, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_sample_does_not_come_through__device_is_withheld_until_one_does(tmp_path, board):
    async with a_transcoder(tmp_path, board, proof_interval_s=0.2) as transcoder:
        known = transcoder.capability_ids
        assert known
        folder = tmp_path / "media/device-0"
        folder.rename(tmp_path / "away")  # nothing can be written: every sample fails, and so would every segment
        await until(lambda: reason(board) == "ProofFailed")
        assert (transcoder.capability_ids, transcoder.failed_proofs) == (frozenset(), {"cpu": 1})
        assert not [c for c in board.all() if c.name == "TranscoderReady" and c.status.value == "true"]
        (tmp_path / "away").rename(folder)
        await until(lambda: transcoder.capability_ids == known)
        assert reason(board) == "Ready"
        assert len((await transcoder.transcode(a_job(a_segment()))).renditions) == 1


async def test_sample_comes_through__the_process_stays_and_nothing_is_left(tmp_path, board):
    async with a_transcoder(tmp_path, board) as transcoder:
        (lane,) = transcoder._lanes
        pids = transcoder.worker_pids
        for _ in range(3):
            await lane.prove(every_s=0)
        assert (transcoder.worker_pids, transcoder.failed_proofs) == (pids, {"cpu": 0})
        assert list((tmp_path / "media/device-0").iterdir()) == []


async def test_segment_came_through_lately__no_sample_is_asked_for(tmp_path, board, monkeypatch):
    asked = []
    async with a_transcoder(tmp_path, board) as transcoder:
        (lane,) = transcoder._lanes

        async def noted(number):
            asked.append(number)
            return ""

        monkeypatch.setattr(lane.worker, "prove", noted)
        await transcoder.transcode(a_job(a_segment()))
        await lane.prove(every_s=3600)
        assert asked == []
        await lane.prove(every_s=0)
        assert len(asked) == 1


def test_probe__plain_sample_fails__has_a_problem_and_no_capability(tmp_path):
    assert proof_problem(CPU, tmp_path) == ""
    probe = probe_device(CPU, tmp_path / "not there")
    assert probe.encoders  # they open
    assert probe.proven_ids == ()
    assert "a sample does not come through a transcode" in probe.problem


def test_probe__encoder_that_does_not_open__is_told_apart(tmp_path):
    probe = probe_device(Device("GPU-1", DeviceKind.NVIDIA), tmp_path)
    assert (probe.encoders, bool(probe.problem)) == ((), True)
