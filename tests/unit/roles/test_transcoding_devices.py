import pytest

from livefleet.hardware import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.media import CPU, Benchmark, Device, DeviceBenchmark, DeviceKind
from livefleet.roles.transcoding import devices_for, session_limit
from livefleet.spec import TranscodingDuty

pytestmark = pytest.mark.unit

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"
TWO = HardwareSnapshot(0.0, "580.1", (13, 0), (GpuSample(0, A), GpuSample(1, B)))
NONE = HardwareSnapshot(0.0, None, None, (), NvmlFault(Fault.NO_LIBRARY, ""))


def ids(devices):
    return [d.id for d in devices]


def test_auto__gpus_present__all_of_them():
    devices = devices_for(TranscodingDuty(), "all", TWO)
    assert devices == (Device(A, DeviceKind.NVIDIA), Device(B, DeviceKind.NVIDIA))


def test_auto__no_gpu__the_cpu():
    assert devices_for(TranscodingDuty(), "all", NONE) == (CPU,)


def test_declared_uuids__only_those():
    assert ids(devices_for(TranscodingDuty(), (B,), TWO)) == [B]


def test_faulty_gpu__is_left_out():
    lost = HardwareSnapshot(0.0, "580.1", None, (GpuSample(0, A, fault=NvmlFault(Fault.LOST, "")), GpuSample(1, B)))
    assert ids(devices_for(TranscodingDuty(), "all", lost)) == [B]


@pytest.mark.parametrize(("encoder", "declared"), [("software", "all"), ("auto", "none")])
def test_software_or_none_declared__the_cpu(encoder, declared):
    assert devices_for(TranscodingDuty(encoder=encoder), declared, TWO) == (CPU,)


def test_nvenc_demanded_without_gpu__nothing_rather_than_the_cpu():
    assert devices_for(TranscodingDuty(encoder="nvenc"), "all", NONE) == ()


def a_record(device, limit, driver="580.1", cores=8.0):
    return DeviceBenchmark(
        device=device, kind=DeviceKind.NVIDIA, driver_version=driver, cores=cores, cores_of_others=0.0, profiles=(),
        source="clip",
        limit=limit, hardware_limit=limit, is_complete=True, duration_ratio=0.5, cpu_s_per_pixel=1e-8,
        place_s_per_pixel=1e-8, in_bit_per_s=1.0, out_bit_per_s=1.0, measured_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "records", "limit"),
    [
        (7, (a_record(A, 3), a_record(B, 4)), 7),
        ("auto", (a_record(A, 3), a_record(B, 4)), 7),
        ("auto", (a_record(A, 3),), None),
        ("auto", (), None),
        ("auto", (a_record(A, 3), a_record(B, 4, driver="570.9")), None),
        ("auto", (a_record(A, 3), a_record(B, 4, cores=4.0)), None),
        ("auto", (a_record(A, 0), a_record(B, 0)), 0),
    ],
)
def test_session_limit__declared_or_measured_on_this_machine(wanted, records, limit):
    devices = devices_for(TranscodingDuty(), "all", TWO)
    duty = TranscodingDuty(max_sessions=wanted)
    assert session_limit(duty, devices, Benchmark(records), TWO.driver_version, 8.0) == limit
