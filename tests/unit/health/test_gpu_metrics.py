"""The GPUs' numbers on /metrics."""

from dataclasses import fields, replace

import pytest

from livefleet.hardware import EccCounts, Fault, HardwareSnapshot, NvmlFault, RemappedRows, XidEvent, XidSource
from livefleet.health import GpuCollector
from tests.builders.hardware import BUS, SomeHardware, a_gpu, some_hardware
from tests.builders.metrics import Scrape

pytestmark = pytest.mark.unit


def a_scrape(hardware):
    return Scrape.of_readings([], GpuCollector(hardware))


def names(scrape):
    return {sample.name for sample in scrape.samples}


def test_gpu__tells_what_it_tells():
    rows = RemappedRows(4, 5, pending=True, failed=False)
    scrape = a_scrape(some_hardware(a_gpu("GPU-1", throttle=0x44, ecc=EccCounts(1, 2, 3, None), remapped=rows)))
    throttled = scrape.labels("livefleet_gpu_throttled")
    assert {each["reason"]: scrape.value("livefleet_gpu_throttled", **each) for each in throttled} == {
        "power_cap": 1, "hardware_slowdown": 0, "software_thermal": 0, "hardware_thermal": 1, "power_brake": 0,
    }  # fmt: skip
    assert scrape.value("livefleet_gpu_ecc_errors", kind="uncorrected", span="driver") == 2
    assert scrape.value("livefleet_gpu_ecc_errors", kind="corrected", span="life") == 3
    assert len(scrape.labels("livefleet_gpu_ecc_errors")) == 3  # what is not told is left out
    assert scrape.value("livefleet_gpu_remapped_rows", kind="uncorrectable") == 5
    assert scrape.value("livefleet_gpu_remap_pending") == 1
    assert scrape.value("livefleet_gpu_temperature_limit_celsius", limit="slowdown") == 95


def test_gpu__tells_nothing__only_that_it_is_there():
    told = {"index", "uuid", "name", "pci_bus_id"}
    bare = a_gpu("GPU-1", **{field.name: None for field in fields(a_gpu()) if field.name not in told})
    assert names(a_scrape(some_hardware(bare))) == {
        "livefleet_gpus_present", "livefleet_gpu_driver_info", "livefleet_gpu_sampled_seconds",
        "livefleet_gpu_kernel_log_readable", "livefleet_gpu_info",
    }  # fmt: skip


def test_gpu__without_uuid__is_told_by_index_only():
    lost = replace(a_gpu("", index=3), fault=NvmlFault(Fault.LOST, "GPU is lost"))
    scrape = a_scrape(some_hardware(lost))
    assert scrape.value("livefleet_gpu_info", gpu="index-3", fault="GpuLost") == 0
    assert "livefleet_gpu_temperature_celsius" not in names(scrape)


def test_xids__last_one_goes_with_the_reset_and_the_counter_stays():
    hardware = some_hardware(a_gpu("GPU-1"), xids=[31, 79])
    before = a_scrape(hardware)
    assert before.value("livefleet_gpu_xids_total", gpu="GPU-1", code="79") == 1
    assert before.value("livefleet_gpu_last_xid_seconds", gpu="GPU-1", code="79") == 1001
    hardware.xids.settle("GPU-1", 2000.0)
    after = a_scrape(hardware)
    assert after.value("livefleet_gpu_xids_total", gpu="GPU-1", code="79") == 1
    assert "livefleet_gpu_last_xid_seconds" not in names(after)


def test_xids__of_a_device_known_by_its_bus_alone__are_told():
    hardware = some_hardware(a_gpu("GPU-1"))
    hardware.xids.add(XidEvent("", "0000:09:00", 79, 5.0), XidSource.KERNEL_LOG)
    assert a_scrape(hardware).value("livefleet_gpu_xids_total", gpu="0000:09:00", code="79") == 1


def test_nothing_sampled_yet__no_device():
    scrape = a_scrape(SomeHardware(None))
    assert names(scrape) == {"livefleet_gpus_present"}
    assert scrape.value("livefleet_gpus_present") == 0


def test_machine_without_driver__no_numbers():
    away = HardwareSnapshot(1.0, None, None, (), NvmlFault(Fault.NO_LIBRARY, "not found"))
    assert names(a_scrape(SomeHardware(away))) == {"livefleet_gpus_present"}


def test_eight_gpus_with_every_code__stay_a_small_page():
    hardware = some_hardware(*[a_gpu(f"GPU-{number}", number) for number in range(8)])
    for number in range(8):
        for code in range(1, 200):
            hardware.xids.add(XidEvent(f"GPU-{number}", BUS, code, code * 100.0), XidSource.NVML)
    scrape = a_scrape(hardware)
    assert len(scrape.labels("livefleet_gpu_xids_total")) == 8 * 65
    assert len(scrape.samples) < 1000
