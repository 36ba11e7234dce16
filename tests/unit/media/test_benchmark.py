from dataclasses import replace

import pytest

from livefleet.kernel import BadInput, Status
from livefleet.media import CPU, Device, DeviceKind, Profile
from livefleet.media.benchmark import (
    Benchmark,
    DeviceBenchmark,
    benchmark_condition,
    is_stale,
    load_benchmark,
    save_benchmark,
)

pytestmark = pytest.mark.unit

GPU = Device("GPU-1", DeviceKind.NVIDIA)


def a_record(**changes):
    record = DeviceBenchmark(
        device="GPU-1",
        kind=DeviceKind.NVIDIA,
        driver_version="580.65.06",
        cores=16.0,
        cores_of_others=0.1,
        profiles=(Profile("P240p30fps16x9", 426, 240, 600_000, fps=30),),
        source="generated 1920x1080@30",
        limit=12,
        hardware_limit=14,
        is_complete=True,
        duration_ratio=0.71,
        cpu_s_per_pixel=1e-8,
        place_s_per_pixel=2e-9,
        in_bit_per_s=6e6,
        out_bit_per_s=5.65e6,
        measured_at="2026-01-02T03:04:05+00:00",
    )
    return replace(record, **changes)


@pytest.mark.parametrize(
    ("record", "driver", "cores", "stale"),
    [
        (a_record(), "580.65.06", None, False),
        (a_record(), "580.65.06", 16.0, False),
        (a_record(), "590.10", 16.0, True),
        (a_record(), None, 16.0, True),
        (a_record(), "580.65.06", 8.0, True),
        (a_record(kind=DeviceKind.CPU, driver_version=None), "590.10", 16.0, False),
        (a_record(kind=DeviceKind.CPU, driver_version=None), None, 4.0, True),
    ],
)
def test_is_stale__driver_and_cores(record, driver, cores, stale):
    assert is_stale(record, driver, cores) is stale


def test_save__then_load__is_the_same(tmp_path):
    benchmark = Benchmark((a_record(), a_record(device="cpu", kind=DeviceKind.CPU, driver_version=None)))
    path = save_benchmark(tmp_path / "state", benchmark)
    assert path.name == "benchmark.json"
    assert load_benchmark(tmp_path / "state") == benchmark
    assert [file.name for file in path.parent.iterdir()] == ["benchmark.json"]


def test_load__nothing_there__is_empty(tmp_path):
    assert load_benchmark(tmp_path) == Benchmark()


@pytest.mark.parametrize("text", ["", "[]", '{"devices": [{"device": "cpu"}]}', '{"devices": [], "more": 1}'])
def test_load__not_ours__says_what_to_do(tmp_path, text):
    (tmp_path / "benchmark.json").write_text(text)
    with pytest.raises(BadInput, match=r"benchmark\.json: .*bench transcode --write"):
        load_benchmark(tmp_path)


def test_with_device__same_device__takes_the_place_of_the_older():
    benchmark = Benchmark((a_record(), a_record(device="GPU-2"))).with_device(a_record(limit=3))
    assert {record.device: record.limit for record in benchmark.devices} == {"GPU-1": 3, "GPU-2": 12}
    assert benchmark.of("GPU-3") is None


@pytest.mark.parametrize(
    ("benchmark", "devices", "driver", "status", "reason"),
    [
        (Benchmark((a_record(),)), [GPU], "580.65.06", Status.TRUE, "Measured"),
        (Benchmark((a_record(),)), [GPU], "590.10", Status.FALSE, "MachineChanged"),
        (Benchmark(), [GPU, CPU], None, Status.UNKNOWN, "NotMeasured"),
        (Benchmark((a_record(),)), [CPU], "580.65.06", Status.UNKNOWN, "NotMeasured"),
    ],
)
def test_condition__tells_and_never_gates(benchmark, devices, driver, status, reason):
    condition = benchmark_condition(benchmark, devices, driver, 16.0)
    assert (condition.status, condition.reason, condition.gates_ready) == (status, reason, False)
    assert status is Status.TRUE or "bench transcode" in condition.message
