import pytest

from livefleet.hardware import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.media import CPU, Device, DeviceKind
from livefleet.roles.transcoding import devices_for
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
