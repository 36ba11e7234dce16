"""The sampler over the stand-in library: devices that hang, are lost, come back and report."""

import asyncio
import threading
import time

import pytest

from livefleet.hardware import Fault, HardwareSampler, Nvml, XidEvent, XidSource
from livefleet.kernel import SystemClock
from tests.nvml import stub

pytestmark = pytest.mark.component

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"
C = "GPU-cccccccc-0000-0000-0000-000000000003"


def a_sampler(**options):
    """Quick to lose patience, and to look anew for what is amiss."""
    given = {"every_s": 0.02, "deadline_s": 0.2, "details_every_s": 0.0, "event_wait_ms": 20}
    return HardwareSampler(SystemClock(), nvml=Nvml(renew_amiss_s=0.0), **given | options)


async def until(sampler, is_so, within_s=20.0):
    """Sample until it is so."""
    deadline = time.monotonic() + within_s
    while not is_so(snapshot := await sampler.sample()):
        assert time.monotonic() < deadline, snapshot
        await asyncio.sleep(0.01)
    return snapshot


async def seen_with_events(nvml, sampler, events, fields):
    """What a sampler that would sleep for long sees of B after these events; sent until its devices are registered."""
    seen = []
    sampler.on_sample(seen.append)
    running = asyncio.create_task(sampler.run())
    deadline = time.monotonic() + 20
    while len(seen) < 2:
        assert time.monotonic() < deadline
        if seen:
            nvml.gpu(1, B, **fields)
            for index, data, kind in events:
                nvml.event(index, data, kind=kind)
        await asyncio.sleep(0.1)
    running.cancel()
    return seen[-1]


def faults(snapshot):
    return {gpu.uuid: gpu.fault and gpu.fault.kind for gpu in snapshot.gpus}


def nvml_threads():
    return [thread for thread in threading.enumerate() if thread.name == "nvml"]


@pytest.fixture
def three(nvml):
    for index, uuid in enumerate((A, B, C)):
        nvml.gpu(index, uuid)
    return nvml


async def test_one_device_hangs__others_go_on_and_it_is_told_by_name(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        three.gpu(1, B, hang_ms=600_000)
        three.gpu(0, A, temp=50)
        three.gpu(2, C, temp=60)
        snapshot = await until(sampler, lambda s: faults(s)[B] is Fault.HANGING)
        assert snapshot.fault is None
        assert faults(snapshot) == {A: None, B: Fault.HANGING, C: None}
        assert (snapshot.gpu(A).temperature_c, snapshot.gpu(C).temperature_c) == (50, 60)
        assert snapshot.gpu(B).name == "NVIDIA L4"

        began, threads = time.monotonic(), len(nvml_threads())
        for _ in range(50):
            await sampler.sample()
        assert time.monotonic() - began < 5  # it is not waited for again
        assert len(nvml_threads()) <= threads + 1
        three.gpu(1, B, hang_ms=0)
        await until(sampler, lambda s: faults(s) == {A: None, B: None, C: None})


async def test_one_call_of_a_device_hangs__is_that_device_s_alone(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        three.gpu(2, C, **{"hang_ms.GetPowerUsage": 600_000})
        await until(sampler, lambda s: faults(s) == {A: None, B: None, C: Fault.HANGING})
        three.gpu(2, C, **{"hang_ms.GetPowerUsage": 0})
        await until(sampler, lambda s: faults(s) == {A: None, B: None, C: None})


async def test_a_device_hangs_for_less_than_the_deadline__is_as_it_was(three):
    async with a_sampler(deadline_s=600.0) as sampler:
        await sampler.sample()
        three.gpu(1, B, hang_ms=600_000, temp=99)
        snapshot = await sampler.sample()
        assert faults(snapshot) == {A: None, B: None, C: None}
        assert snapshot.gpu(B).temperature_c == 45
        three.gpu(1, B, hang_ms=0, temp=99)
        await until(sampler, lambda s: s.gpu(B).temperature_c == 99)


async def test_every_device_hangs__is_the_driver_s_fault_with_few_threads(three):
    before = len(nvml_threads())
    async with a_sampler() as sampler:
        await sampler.sample()
        three.set(hang_ms=600_000)
        snapshot = await until(sampler, lambda s: s.fault is not None)
        assert snapshot.fault.kind is Fault.HANGING
        for _ in range(10):
            await sampler.sample()
        assert len(nvml_threads()) - before <= 4  # one a device, and one
        three.set(hang_ms=0)
        await until(sampler, lambda s: s.fault is None and not any(faults(s).values()))


@pytest.mark.parametrize("call", ["GetCount", "Init"])
async def test_driver_hangs_as_a_whole__is_told_and_recovers(three, call):
    async with a_sampler() as sampler:
        if call == "GetCount":
            await sampler.sample()
        three.set(**{f"hang_ms.{call}": 600_000})
        before = len(nvml_threads())
        for _ in range(3):
            assert (await sampler.sample()).fault.kind is Fault.HANGING
        assert len(nvml_threads()) <= before + 1
        three.set(**{f"hang_ms.{call}": 0})
        await until(sampler, lambda s: s.fault is None and len(s.gpus) == 3)


async def test_leaving__while_a_device_hangs__does_not_wait_for_it(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        three.gpu(0, A, hang_ms=600_000)
        await until(sampler, lambda s: faults(s)[A] is Fault.HANGING)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    three.gpu(0, A, hang_ms=0)


async def test_waiting_for_events_hangs__devices_are_read_and_reports_come_later(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        three.set(**{"hang_ms.EventSetWait": 600_000})
        for _ in range(5):
            assert not any(faults(await sampler.sample()).values())
        three.event(0, 48)
        three.set(**{"hang_ms.EventSetWait": 0})
        await until(sampler, lambda _: sampler.xids.of(A).counts == {48: 1})


async def test_device_fallen_off_the_bus__keeps_its_name_and_is_settled_when_back(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        sampler.xids.add(XidEvent(B, "", 79, SystemClock().now()), XidSource.NVML)
        three.gpu(1, B, error=15)
        snapshot = await until(sampler, lambda s: faults(s).get(B) is Fault.LOST)
        assert faults(snapshot) == {A: None, B: Fault.LOST, C: None}
        assert sampler.xids.of(B).last.code == 79
        three.gpu(1, B, error=0)
        await until(sampler, lambda s: not any(faults(s).values()))
        assert (sampler.xids.of(B).last, sampler.xids.of(B).counts) == (None, {79: 1})


async def test_device_lost__and_another_takes_its_index__nobody_has_two_names(three):
    """B is lost and C now stands where it was: only what nobody else shows may be B."""
    async with a_sampler() as sampler:
        await sampler.sample()
        three.gpu(1, C)
        three.gpu(2, C, error=15)
        snapshot = await until(sampler, lambda s: s.gpus[2].fault is not None)
        assert [gpu.uuid for gpu in snapshot.gpus] == [A, C, ""]


async def test_two_lost_devices__that_were_one_after_the_other__share_no_name(nvml):
    nvml.gpu(0, A)
    nvml.gpu(1, B)
    async with a_sampler() as sampler:
        await sampler.sample()
        nvml.gpu(0, B)
        nvml.gpu(1, C, error=15)  # where B was before
        await until(sampler, lambda s: [gpu.uuid for gpu in s.gpus] == [B, ""])
        nvml.gpu(0, B, error=15)
        snapshot = await until(sampler, lambda s: all(gpu.fault for gpu in s.gpus))
        assert [gpu.uuid for gpu in snapshot.gpus] == [B, ""]


async def test_uuids_change_places__values_go_with_them(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        three.gpu(0, B, temp=70, name="NVIDIA RTX 4090")
        three.gpu(1, A, temp=30)
        snapshot = await until(sampler, lambda s: s.gpus[0].uuid == B)
        assert (snapshot.gpu(B).temperature_c, snapshot.gpu(B).name) == (70, "NVIDIA RTX 4090")
        assert (snapshot.gpu(A).temperature_c, snapshot.gpu(A).name) == (30, "NVIDIA L4")


async def test_library_that_counts_at_its_start_only__a_device_that_comes_back_is_found(three):
    three.set(listed_at_init=1)
    async with a_sampler() as sampler:
        await sampler.sample()
        three.gpu(2, C, error=15)
        await until(sampler, lambda s: faults(s).get(C) is Fault.LOST)
        three.unplug(2)
        await until(sampler, lambda s: len(s.gpus) == 2)
        three.gpu(2, C)
        sampler._nvml.is_amiss = True  # it looks anew every few minutes, else
        await until(sampler, lambda s: faults(s) == {A: None, B: None, C: None})


async def test_driver_loaded_anew__devices_are_read_again_and_reports_settled(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        sampler.xids.add(XidEvent(A, "", 119, SystemClock().now() - 1), XidSource.NVML)
        three.set(epoch=2)
        snapshot = await until(sampler, lambda s: s.fault is None and not any(faults(s).values()))
        assert [gpu.uuid for gpu in snapshot.gpus] == [A, B, C]
        assert sampler.xids.of(A).last is None


async def test_driver_away_and_back__is_told_and_reports_are_settled(three):
    async with a_sampler() as sampler:
        await sampler.sample()
        sampler.xids.add(XidEvent(A, "", 119, SystemClock().now() - 1), XidSource.NVML)
        three.set(epoch=2, init=9)
        assert (await sampler.sample()).fault.kind is Fault.NO_DRIVER
        three.set(init=0)
        await until(sampler, lambda s: s.fault is None and len(s.gpus) == 3)
        assert sampler.xids.of(A).last is None


async def test_xid__wakes_the_sampler_and_is_counted(three):
    async with a_sampler(every_s=600.0) as sampler:
        heard = []
        sampler.xids.on_event(heard.append)
        seen = await seen_with_events(three, sampler, [(1, 79, 4), (1, 48, stub.XID)], {"ecc": "0 1 0 1"})
        assert {(event.uuid, event.code, event.bus) for event in heard} == {(B, 48, "00000000:02:00.0")}
        assert seen.gpu(B).ecc.volatile_uncorrected == 1


async def test_event_without_a_number__makes_it_look_at_once(three):
    async with a_sampler(every_s=600.0) as sampler:
        seen = await seen_with_events(three, sampler, [(1, 0, 0x8000)], {"recovery": 2})
        assert seen.gpu(B).recovery_action == 2
        assert sampler.xids.all() == {}


async def test_device_without_events__is_read_all_the_same(three):
    three.forget(0, "events")
    async with a_sampler() as sampler:
        await sampler.sample()

        def reported(snapshot):
            three.event(1, 31)
            return set(sampler.xids.of(B).counts) == {31} and not any(faults(snapshot).values())

        await until(sampler, reported)


async def test_slow_values__are_read_at_their_own_interval(three):
    async with a_sampler(details_every_s=600.0) as sampler:
        await sampler.sample()
        three.gpu(0, A, remapped="0 0 1 0", temp=70)
        gpu = (await sampler.sample()).gpu(A)
        assert (gpu.temperature_c, gpu.remapped.pending) == (70, False)
        three.event(0, 63)
        await until(sampler, lambda s: s.gpu(A).remapped.pending)


async def test_binding_breaks__is_a_fault_and_the_next_look_is_tried(three, monkeypatch):
    async with a_sampler() as sampler:
        devices = sampler._nvml.devices
        monkeypatch.setattr(sampler._nvml, "devices", lambda _: 1 / 0)
        assert (await sampler.sample()).fault.kind is Fault.OTHER
        monkeypatch.setattr(sampler._nvml, "devices", devices)
        assert not any(faults(await sampler.sample()).values())
