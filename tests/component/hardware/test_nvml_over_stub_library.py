"""The real pynvml over a stand-in libnvidia-ml.so.1."""

import asyncio
import time

import pytest

from livefleet.hardware import (
    Claim,
    Fault,
    GpuProcess,
    HardwareSampler,
    HardwareSnapshot,
    MachineMemory,
    MemoryReading,
    VramLedger,
    read_snapshot,
)
from livefleet.kernel import SystemClock

pytestmark = pytest.mark.component

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"


def test_snapshot__two_devices__are_read_whole(nvml):
    nvml.gpu(0, A, mem_used=3 << 30)
    nvml.gpu(1, B, name="NVIDIA RTX 4090")
    snapshot = read_snapshot(12.0)
    assert (snapshot.taken_at, snapshot.driver_version, snapshot.cuda_version) == (12.0, "580.65.06", (13, 0))
    first, second = snapshot.gpus
    assert (first.uuid, first.memory_total, first.memory_used) == (A, 24 << 30, 3 << 30)
    assert (first.compute_capability, first.temperature_c, first.power_mw) == ((8, 9), 45, 30000)
    assert (first.utilization, first.encoder_utilization) == (5, 0)
    assert (second.name, second.pci_bus_id) == ("NVIDIA RTX 4090", "00000000:02:00.0")
    assert snapshot.gpu(B) is second


def test_snapshot__no_devices__is_empty_without_fault(nvml):
    snapshot = read_snapshot(0.0)
    assert (snapshot.gpus, snapshot.fault) == ((), None)


@pytest.mark.parametrize(("code", "kind"), [(9, Fault.NO_DRIVER), (18, Fault.MISMATCH), (999, Fault.OTHER)])
def test_snapshot__driver_fault__is_named(nvml, code, kind):
    nvml.set(init=code)
    fault = read_snapshot(0.0).fault
    assert fault is not None
    assert fault.kind is kind


def test_snapshot__one_device_lost__the_other_is_still_read(nvml):
    nvml.gpu(0, A, error=15)
    nvml.gpu(1, B)
    lost, well = read_snapshot(0.0).gpus
    assert lost.fault is not None
    assert lost.fault.kind is Fault.LOST
    assert (well.uuid, well.fault) == (B, None)


def test_snapshot__call_not_supported__is_none(nvml):
    nvml.gpu(0, A)
    del nvml.values["gpu0.enc"], nvml.values["gpu0.power"]
    nvml.write()
    gpu = read_snapshot(0.0).gpus[0]
    assert (gpu.encoder_utilization, gpu.power_mw, gpu.fault) == (None, None, None)


def test_snapshot__processes__are_told_with_their_memory(nvml):
    nvml.gpu(0, A, procs="17:1048576,18:na")
    nvml.gpu(1, B, procs="")
    nvml.gpu(2, "GPU-cccccccc-0000-0000-0000-000000000003")
    some, none, untold = read_snapshot(0.0).gpus
    assert some.processes == (GpuProcess(17, 1 << 20), GpuProcess(18, None))
    assert none.processes == ()
    assert (untold.processes, untold.fault) == (None, None)


async def test_machine_memory__gpu_stops_answering__is_as_it_was_seen_last(nvml):
    nvml.gpu(0, A, mem_used=3 << 30, procs=f"17:{1 << 30},18:{2 << 30}")
    async with HardwareSampler(SystemClock(), every_s=1) as sampler:
        memory = MachineMemory(sampler)
        assert memory.of(A, {17}) is None
        await memory.look()
        seen = MemoryReading(24 << 30, 3 << 30, {17: 1 << 30})
        assert memory.of(A, {17, 99}) == seen
        nvml.gpu(0, A, error=15)
        await memory.look()
        assert memory.of(A, {17, 99}) == seen
        assert memory.of(B, ()) is None


async def test_ledger__strangers_and_a_killed_process__are_seen_through_nvml(nvml):
    """A model's lease is handed on only when NVML lists its process no more."""
    nvml.gpu(0, A, mem_used=14 << 30, procs=f"17:{10 << 30},500:{4 << 30}")
    async with HardwareSampler(SystemClock(), every_s=1) as sampler:
        ledger = VramLedger(MachineMemory(sampler), headroom=lambda _: 2 << 30)
        await ledger.look()
        lease = ledger.lease(A, "model", 8 << 30, claim=Claim.COLD_MODEL)
        lease.pids.add(17)
        book = ledger.book_of(A)
        # It holds more than it has booked; process 500 is nobody's here.
        assert (book.strangers, book.free_to_models) == (4 << 30, (24 - 4 - 10 - 2) << 30)

        nobody_but_a_ghost = asyncio.create_task(lease.seen_free())
        await asyncio.sleep(0.3)
        assert not nobody_but_a_ghost.done()
        nvml.gpu(0, A, mem_used=4 << 30, procs=f"500:{4 << 30}")
        await asyncio.wait_for(nobody_but_a_ghost, 20)
        lease.release()
        assert ledger.free(A) == (24 - 4 - 2) << 30


def test_snapshot__driver_goes_away_at_the_end__is_no_error(nvml):
    nvml.gpu(0, A)
    nvml.set(shutdown=1)
    assert [gpu.uuid for gpu in read_snapshot(0.0).gpus] == [A]


async def test_sampler__a_read_breaks__the_next_one_is_tried():
    answers = [OSError("broken"), HardwareSnapshot(1.0, None, None, ())]

    def read(_):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async with HardwareSampler(SystemClock(), every_s=1, read=read) as sampler:
        with pytest.raises(OSError, match="broken"):
            await sampler.sample()
        assert (await sampler.sample()).taken_at == 1.0


async def test_sampler__driver_hangs__says_so_and_recovers(nvml):
    nvml.gpu(0, A)
    nvml.set(hang_ms=150)
    async with HardwareSampler(SystemClock(), every_s=0.05, deadline_s=0.05) as sampler:
        hanging = await sampler.sample()
        assert hanging.fault is not None
        assert hanging.fault.kind is Fault.HANGING
        nvml.set(hang_ms=0)
        deadline = time.monotonic() + 20
        while (await sampler.sample()).fault is not None and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert sampler.latest is not None
        assert [g.uuid for g in sampler.latest.gpus] == [A]
