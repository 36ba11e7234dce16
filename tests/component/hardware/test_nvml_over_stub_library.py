"""The real pynvml over a stand-in libnvidia-ml.so.1."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from livefleet.hardware import (
    Claim,
    EccCounts,
    Fault,
    GpuProcess,
    HardwareSampler,
    MachineMemory,
    MemoryReading,
    MigMode,
    PcieLink,
    RemappedRows,
    VramLedger,
    read_snapshot,
)
from livefleet.kernel import SystemClock
from tests.nvml import stub

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


def test_snapshot__details__are_read_whole(nvml):
    nvml.gpu(
        0, A, reasons=0x44, fan=30, ecc="1 2 3 4", remapped="5 6 1 0", retired="7 8 1", replays=9, pcie_width=8,
        mig="0 1", recovery=2, sessions=3, energy=7_000_000,
    )  # fmt: skip
    gpu = read_snapshot(0.0).gpus[0]
    assert (gpu.throttle, gpu.fan_percent, gpu.power_limit_mw) == (0x44, 30, 72000)
    assert (gpu.clock_sm_mhz, gpu.clock_memory_mhz, gpu.slowdown_c, gpu.shutdown_c) == (2040, 6251, 95, 98)
    assert gpu.ecc == EccCounts(1, 2, 3, 4)
    assert gpu.remapped == RemappedRows(5, 6, pending=True, failed=False)
    assert (gpu.retired_pages, gpu.retirement_pending) == (15, True)
    assert gpu.pcie == PcieLink(4, 4, 8, 16, 9)
    assert gpu.mig == MigMode(current=False, pending=True)
    assert (gpu.persistence, gpu.recovery_action, gpu.encoder_sessions) == (True, 2, 3)
    assert gpu.energy_mj == 7_000_000


def test_snapshot__counters_not_told_as_fields__are_asked_for_one_by_one(nvml):
    nvml.gpu(0, A, fields=0, ecc="1 2 3 4", remapped="5 6 1 0", replays=9)
    gpu = read_snapshot(0.0).gpus[0]
    assert gpu.ecc == EccCounts(1, 2, 3, 4)
    assert gpu.remapped == RemappedRows(5, 6, pending=True, failed=False)
    assert gpu.pcie == PcieLink(4, 4, 16, 16, 9)
    assert (gpu.retired_pages, gpu.recovery_action) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "of_the_sample"),
    [
        ("temp", 2**31, "temperature_c"),
        ("temp", -300, "temperature_c"),
        ("power", 2**32 - 1, "power_mw"),
        ("util", 255, "utilization"),
        ("util_mem", 101, "memory_utilization"),
        ("enc", 2**32 - 1, "encoder_utilization"),
        ("mem_total", 0, "memory_total"),
        ("mem_total", -1, "memory_total"),
        ("mem_used", 25 << 30, "memory_used"),
        ("clock_sm", 2**31, "clock_sm_mhz"),
        ("power_limit", 0, "power_limit_mw"),
        ("fan", 2**32 - 1, "fan_percent"),
        ("slowdown", 0, "slowdown_c"),
        ("reasons", -1, "throttle"),
        ("ecc", "-1 -1 -1 -1", "ecc"),
        ("remapped", "1 1 2 0", "remapped"),
        ("remapped", "-1 1 0 0", "remapped"),
        ("mig", "7 0", "mig"),
        ("persistence", 9, "persistence"),
        ("recovery", 2**32 - 1, "recovery_action"),
        ("sessions", 2**32 - 1, "encoder_sessions"),
        ("energy", -1, "energy_mj"),
        ("major", -8, "compute_capability"),
        ("bus", "nonsense", "pci_bus_id"),
    ],
)
def test_snapshot__nonsense__costs_that_value_alone(nvml, field, value, of_the_sample):
    nvml.gpu(0, A)
    sound = read_snapshot(0.0).gpus[0]
    nvml.gpu(0, A, **{field: value})
    gpu = read_snapshot(0.0).gpus[0]
    nothing = "" if of_the_sample == "pci_bus_id" else None
    assert getattr(gpu, of_the_sample) == nothing
    also = {"memory_total": {"memory_used": None}}.get(of_the_sample, {})  # used is held against total
    assert gpu == replace(sound, **{of_the_sample: nothing} | also)


@pytest.mark.parametrize("code", [3, 4, 10, 13, 17, 25, 999, 12345])
@pytest.mark.parametrize(
    ("call", "of_the_sample"),
    [
        ("GetTemperatureV", None),  # the older call is asked then
        ("GetPowerUsage", "power_mw"),
        ("GetName", "name"),
        ("GetMemoryInfo", "memory_total"),
        ("GetComputeRunningProcesses", "processes"),
        ("GetFieldValues", "recovery_action"),
        ("GetPersistenceMode", "persistence"),
    ],
)
def test_snapshot__one_call_fails__costs_that_value_alone(nvml, code, call, of_the_sample):
    nvml.gpu(0, A, procs="17:5", **{f"error.{call}": code})
    gpu = read_snapshot(0.0).gpus[0]
    assert (gpu.uuid, gpu.fault, gpu.utilization, gpu.temperature_c) == (A, None, 5, 45)
    if of_the_sample is not None:
        assert not getattr(gpu, of_the_sample)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, Fault.OTHER),
        (4, Fault.NO_PERMISSION),
        (15, Fault.LOST),
        (16, Fault.RESET_REQUIRED),
        (17, Fault.BLOCKED),
        (999, Fault.OTHER),
    ],
)
def test_snapshot__every_call_fails__is_the_device_s_fault(nvml, code, kind):
    nvml.gpu(0, A, error=code)
    (gpu,) = read_snapshot(0.0).gpus
    assert (gpu.uuid, gpu.fault.kind) == ("", kind)


def test_snapshot__name_of_a_megabyte_and_no_text__is_cut_and_printable(nvml):
    nvml.gpu(0, A, name="N" * 1000)
    assert set(read_snapshot(0.0).gpus[0].name) == {"N"}
    assert len(read_snapshot(0.0).gpus[0].name) <= 96
    nvml.gpu(0, A, name="a\x07b\x1bc")
    assert read_snapshot(0.0).gpus[0].name == "abc"
    nvml.gpu(0, A, name="\udcff\udcfe")
    gpu = read_snapshot(0.0).gpus[0]
    assert (gpu.name, gpu.fault, gpu.temperature_c) == ("", None, 45)


def test_snapshot__count_beyond_reason__devices_that_are_there_are_read(nvml):
    nvml.gpu(0, A)
    nvml.gpu(1, B)
    nvml.set(count=2**32 - 1)
    assert [gpu.uuid for gpu in read_snapshot(0.0).gpus if gpu.fault is None] == [A, B]
    assert len(read_snapshot(0.0).gpus) <= 64


def test_snapshot__two_devices_of_one_uuid__the_second_is_nobody_s(nvml):
    nvml.gpu(0, A)
    nvml.gpu(1, A)
    first, second = read_snapshot(0.0).gpus
    assert (first.uuid, first.fault) == (A, None)
    assert second.uuid == ""
    assert A in second.fault.text


def test_snapshot__more_processes_than_are_told__is_a_device_all_the_same(nvml):
    nvml.gpu(0, A, procs=",".join(f"{pid}:1" for pid in range(1, 400)))
    gpu = read_snapshot(0.0).gpus[0]
    assert (gpu.processes, gpu.fault) == (None, None)


OLD_DRIVER = """
import sys
from livefleet.hardware import read_snapshot
(gpu,) = read_snapshot(0.0).gpus
assert gpu.fault is None, gpu.fault
assert (gpu.temperature_c, gpu.throttle, gpu.clock_sm_mhz) == (45, 1, 2040), gpu
"""

NO_LIBRARY = """
from livefleet.hardware import Fault, read_snapshot
snapshot = read_snapshot(0.0)
assert (snapshot.gpus, snapshot.fault.kind) == ((), Fault.NO_LIBRARY), snapshot
"""


def test_snapshot__library_of_an_old_driver__older_calls_are_asked(nvml, tmp_path):
    nvml.gpu(0, A)
    library = stub.build(tmp_path, "OLD_DRIVER")
    subprocess.run(
        [sys.executable, "-c", OLD_DRIVER], check=True, env=os.environ | {"LD_LIBRARY_PATH": str(library.parent)}
    )


def test_snapshot__no_library__is_no_fault_of_the_agent():
    subprocess.run([sys.executable, "-c", NO_LIBRARY], check=True, env={"PATH": os.environ["PATH"]})
