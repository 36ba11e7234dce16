"""More models than memory: real runners, and a machine that is said to have less RAM than it has."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from livefleet.ai import AiPool, NoCapacity
from livefleet.ai.model_records import ModelRecords, size_class
from livefleet.hardware import CPU_MEMORY, Claim, MachineMemory, MemoryReading, VramLedger
from livefleet.spec import ModelOrder, ModelWish
from tests.builders.ai import PATIENT, a_job, a_placement, pngs

pytestmark = pytest.mark.component

FIRST, SECOND = "tiny/first", "tiny/second"


class LittleRam:
    """What our processes really hold, and nobody else, of 900 MiB."""

    latest = None

    def __init__(self) -> None:
        self._machine = MachineMemory(self)

    async def sample(self):
        raise AssertionError("no GPU is asked for here")

    def of(self, device: str, pids: Collection[int]) -> MemoryReading:
        found = self._machine.of(device, pids)
        assert found is not None
        return MemoryReading(900 << 20, sum(found.by_process.values()), found.by_process)

    async def look(self) -> None: ...


async def test_pool__two_cold_models_and_room_for_one__take_turns_and_streams_come_first(
    tiny_model: Path, tmp_path: Path, board, eventually
):
    placements = [a_placement(model_id=name, source=str(tiny_model), warm=False) for name in (FIRST, SECOND)]
    first, second = (a_job(model_id=name, seed=7) for name in (FIRST, SECOND))
    huge = a_job(model_id=SECOND, height=2048, width=2048)
    ModelRecords(tmp_path).ran(placements[1], size_class(huge), 10 << 30)
    ledger = VramLedger(LittleRam())
    changes: list[tuple[str, ...]] = []

    def a_pool(cold_patience_s: float = 180) -> AiPool:
        return AiPool(
            placements, run_dir=tmp_path / "run", state_folder=tmp_path, board=board, rng=random.Random(1),
            request_timeout_s=60, cold_patience_s=cold_patience_s, limits=PATIENT, cpu_threads=1, ledger=ledger,
        )  # fmt: skip

    async with a_pool() as pool:
        pool.on_change(lambda: changes.append(tuple(m.model_id for m in pool.advertised() if m.warm)))
        picture = pngs(await pool.run(first))
        (pid,) = pool.runner_pids()[FIRST]
        loaded = pool.snapshot().models[0]
        assert loaded.loaded_bytes is not None
        assert 100 << 20 < loaded.loaded_bytes < 900 << 20
        assert loaded.is_expectation_measured
        assert loaded.load_s is not None
        assert loaded.p50_s is not None

        # Idle, it gives way to the other one; no memory is promised twice.
        assert pngs(await pool.run(second)) == picture
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert list(pool.runner_pids()) == [SECOND]
        one, two = pool.snapshot().models
        assert (one.evictions, one.losses, one.state) == (1, 0, "cold")
        assert size_class(second) in two.peak_bytes_by_units
        (device,) = pool.snapshot().devices
        assert [lease.owner for lease in device.leases] == [SECOND]

        # What is known not to fit is refused before it runs.
        with pytest.raises(NoCapacity) as refused:
            await pool.run(huge)
        assert refused.value.memory
        assert "needs 10240 MiB on cpu" in refused.value.why
        assert pool.snapshot().models[1].refused_memory == 1
        assert pool.snapshot().models[1].failed_jobs == 0

        # While it works nobody pushes it out: the other one is refused at once.
        with pool.reserve(second.pipeline, SECOND), pytest.raises(NoCapacity) as refused:
            await pool.run(first)
        assert refused.value.memory

        # A process that dies is retracted by an event, not at the next look.
        changes.clear()
        (pid,) = pool.runner_pids()[SECOND]
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while not changes:
            await asyncio.sleep(0.001)
        assert time.monotonic() - killed < 2
        assert changes[0] == ()

        # A stream takes what it needs; models get what is left.
        await eventually(lambda: not ledger.book_of(CPU_MEMORY).leases)
        streams = ledger.lease(CPU_MEMORY, "transcoding", 800 << 20, claim=Claim.TRANSCODING)
        with pytest.raises(NoCapacity):
            await pool.run(first)

        # Nor has an operator's word more room, and he is told so.
        pool.follow([ModelOrder(pipeline=first.pipeline, model_id=FIRST, wish=ModelWish.LOAD, since=1)])
        await eventually(lambda: pool.snapshot().models[0].order.state == "failed")
        assert "MiB on cpu" in pool.snapshot().models[0].order.text
        assert pool.snapshot().models[0].state == "cold"
        streams.release()
    assert ledger.book_of(CPU_MEMORY).leases == ()

    # How long loading took is known after a restart: too long for these gateways, so they are refused at once.
    async with a_pool(cold_patience_s=0.5) as pool:
        await asyncio.sleep(0)
        with pytest.raises(NoCapacity, match="insufficient capacity") as refused:
            await pool.run(first)
        assert "gateways wait 0.5 s" in refused.value.why
        # It loads all the same, for those that come back.
        await eventually(lambda: any(m.warm for m in pool.advertised()))
