"""Devices that come while others work: they join, and what stood in for them gives way."""

import asyncio
import os
import random
import signal

import pytest

from livefleet.kernel import Status, SystemClock
from livefleet.media import NO_LIMIT, TRANSCODER_READY, Device, LocalTranscoder
from livefleet.media.inspection import inspect
from tests.builders.media import a_job

pytestmark = pytest.mark.component

PATIENCE_S = 60


async def until(predicate):
    async with asyncio.timeout(PATIENCE_S):
        while not predicate():
            await asyncio.sleep(0.02)


def sessions(transcoder):
    return {device.id: device.sessions for device in transcoder.load.devices}


async def test_device_that_comes__joins__and_the_stand_in_works_only_without_it(tmp_path, board, segment):
    there = []

    def is_ready(device):
        return any((c.name, c.subject, c.status) == (TRANSCODER_READY, device, Status.TRUE) for c in board.all())

    async def send():
        result = await transcoder.transcode(a_job(segment))
        assert inspect(result.renditions[0].data).frames

    async with LocalTranscoder(
        [Device("cpu", slots=1)], run_dir=tmp_path / "media", board=board, clock=SystemClock(), max_load=NO_LIMIT,
        rng=random.Random(1), ready_timeout_s=PATIENCE_S, arrivals=lambda: there, stand_ins=["cpu"],
    ) as transcoder:  # fmt: skip
        await send()
        assert sessions(transcoder) == {"cpu": 1}
        there.append(Device("late", slots=1))
        await until(lambda: is_ready("late"))
        await send()
        assert sessions(transcoder) == {"cpu": 0, "late": 1}
        assert [device.id for device in transcoder.devices] == ["cpu", "late"]
        assert transcoder.capacity == 10

        # It stumbles, and is emptied: the stand-in works again, and nobody misses it.
        os.kill(transcoder.worker_pids["late"], signal.SIGSTOP)
        transcoder.empty(["late"])
        await send()
        assert sessions(transcoder) == {"cpu": 1, "late": 0}
        os.kill(transcoder.worker_pids["late"], signal.SIGKILL)
        await until(lambda: not is_ready("late"))
        assert not board.blocking()
        transcoder.empty([])
        await until(lambda: is_ready("late"))
        await send()
        assert sessions(transcoder) == {"cpu": 0, "late": 1}


async def test_no_device_at_first__the_one_that_comes_does_the_work(tmp_path, board, segment):
    there = []
    async with LocalTranscoder(
        [], run_dir=tmp_path / "media", board=board, clock=SystemClock(), rng=random.Random(1), arrivals=lambda: there,
        max_load=NO_LIMIT,
    ) as transcoder:  # fmt: skip
        assert not transcoder.capability_ids
        there.append(Device("late", slots=1))
        await until(lambda: transcoder.capability_ids)
        result = await transcoder.transcode(a_job(segment))
        assert inspect(result.renditions[0].data).frames


async def test_device_that_comes__while_another_is_proved__joins(tmp_path, board, monkeypatch):
    there, asked, go = [], asyncio.Event(), asyncio.Event()

    async def slow(_):
        asked.set()
        await go.wait()
        return ""

    async with LocalTranscoder(
        [Device("cpu", slots=1)], run_dir=tmp_path / "media", board=board, clock=SystemClock(), max_load=NO_LIMIT,
        rng=random.Random(1), ready_timeout_s=PATIENCE_S, arrivals=lambda: there, proof_interval_s=0.01,
    ) as transcoder:  # fmt: skip
        (lane,) = transcoder._lanes
        monkeypatch.setattr(lane.worker, "prove", slow)
        await until(asked.is_set)
        there.append(Device("late", slots=1))
        await until(lambda: len(transcoder.devices) == 2)
        asked.clear()
        go.set()
        await until(asked.is_set)
