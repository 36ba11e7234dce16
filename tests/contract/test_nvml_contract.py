"""What the agent relies on NVML for: the stand-in library and the real one under one test."""

import re

import pytest

from livefleet.hardware import read_snapshot
from tests.nvml import stub

pytestmark = pytest.mark.contract


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.gpu)])
def library(request, tmp_path, monkeypatch):
    if request.param == "stand-in":
        stub.load(stub.build(tmp_path / "library"))
        state = stub.NvmlState(tmp_path / "nvml.state")
        monkeypatch.setenv("LIVEFLEET_NVML_STATE", str(state.path))
        state.gpu(0, "GPU-0e1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7")
    return request.param


def test_snapshot__identity_and_memory_are_told(library):
    snapshot = read_snapshot(1.0)
    assert snapshot.fault is None
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", snapshot.driver_version)
    assert snapshot.cuda_version >= (11, 0)
    assert snapshot.gpus
    for gpu in snapshot.gpus:
        assert gpu.fault is None
        assert re.fullmatch(r"GPU-[0-9a-f-]{36}", gpu.uuid)
        assert gpu.name
        assert re.fullmatch(r"[0-9A-Fa-f]{8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.0", gpu.pci_bus_id)
        assert gpu.compute_capability >= (5, 0)
        assert 0 <= gpu.memory_used <= gpu.memory_total
        assert gpu.memory_total > 1 << 30


def test_snapshot__load_is_told_in_its_ranges(library):
    for gpu in read_snapshot(1.0).gpus:
        for percent in (gpu.utilization, gpu.encoder_utilization, gpu.decoder_utilization):
            assert percent is None or 0 <= percent <= 100
        assert gpu.temperature_c is None or 0 < gpu.temperature_c < 120
        assert gpu.power_mw is None or gpu.power_mw >= 0
        assert gpu.clock_sm_mhz is None or 0 < gpu.clock_sm_mhz < 10_000
        assert gpu.power_limit_mw is None or gpu.power_limit_mw >= 10_000


def test_snapshot__a_sound_device__has_nothing_to_complain_of(library):
    for gpu in read_snapshot(1.0).gpus:
        assert gpu.remapped is None or not gpu.remapped.failed
        assert not gpu.recovery_action
        assert gpu.pcie is not None
        assert 1 <= gpu.pcie.width <= gpu.pcie.max_width
        assert gpu.slowdown_c is None or gpu.shutdown_c is None or gpu.slowdown_c <= gpu.shutdown_c


def test_snapshot__twice__finds_the_same_devices(library):
    assert [g.uuid for g in read_snapshot(1.0).gpus] == [g.uuid for g in read_snapshot(2.0).gpus]
