import pytest

from livefleet.hardware import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.kernel import Status
from livefleet.reconcile.resources.gpus import gpu_conditions
from livefleet.spec import DriverSettings

pytestmark = pytest.mark.unit

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"


def a_snapshot(*gpus, driver="580.65.06", fault=None):
    return HardwareSnapshot(0.0, None if fault else driver, None, gpus, fault)


def said(conditions):
    return {(c.name, c.subject): (c.status, c.reason) for c in conditions}


def test_no_library__gpus_all__is_a_normal_state():
    conditions = gpu_conditions(a_snapshot(fault=NvmlFault(Fault.NO_LIBRARY, "not found")), "all", DriverSettings())
    assert said(conditions) == {("GpuDriver", ""): (Status.TRUE, "NoGpu")}


def test_no_library__uuid_declared__driver_is_false_and_gpu_unknown():
    conditions = gpu_conditions(a_snapshot(fault=NvmlFault(Fault.NO_LIBRARY, "not found")), (A,), DriverSettings())
    assert said(conditions) == {
        ("GpuDriver", ""): (Status.FALSE, "NoLibrary"),
        ("GpuPresent", A): (Status.UNKNOWN, "NoLibrary"),
    }


@pytest.mark.parametrize("kind", [Fault.NO_DRIVER, Fault.MISMATCH, Fault.HANGING, Fault.NO_PERMISSION, Fault.OTHER])
def test_driver_fault__is_false_with_advice(kind):
    (driver,) = gpu_conditions(a_snapshot(fault=NvmlFault(kind, "the driver's words")), "all", DriverSettings())
    assert (driver.status, driver.reason) == (Status.FALSE, kind.value)
    assert driver.message == "the driver's words"
    assert driver.advice


def test_declared_device_missing__is_false_and_names_what_is_there():
    conditions = gpu_conditions(a_snapshot(GpuSample(0, B, "L4")), (A,), DriverSettings())
    assert said(conditions)[("GpuPresent", A)] == (Status.FALSE, "Missing")
    assert B in next(c.message for c in conditions if c.subject == A)
    assert ("GpuPresent", B) not in said(conditions)


def test_device_lost__is_false__the_other_stays_true():
    lost = GpuSample(0, "", fault=NvmlFault(Fault.LOST, "GPU is lost"))
    conditions = said(gpu_conditions(a_snapshot(lost, GpuSample(1, B, "L4")), "all", DriverSettings()))
    assert conditions[("GpuPresent", "index 0")] == (Status.FALSE, "GpuLost")
    assert conditions[("GpuPresent", B)] == (Status.TRUE, "Present")


@pytest.mark.parametrize("others", [(), (GpuSample(1, B, "L4"),)])
def test_device_faulty__gates_only_where_it_is_the_last(others):
    sick = GpuSample(0, A, fault=NvmlFault(Fault.RESET_REQUIRED, "wants a reset"))
    conditions = gpu_conditions(a_snapshot(sick, *others), "all", DriverSettings())
    (faulty,) = [c for c in conditions if c.subject == A]
    assert (faulty.gates_ready, faulty.reason) == (not others, "GpuResetRequired")
    assert "nvidia-smi --gpu-reset" in faulty.advice


@pytest.mark.parametrize(
    ("minimum", "status"), [("580.65.06", Status.TRUE), ("580.65.7", Status.FALSE), ("575.1", Status.TRUE)]
)
def test_driver_version__below_minimum__is_false(minimum, status):
    conditions = gpu_conditions(a_snapshot(), "all", DriverSettings(min_version=minimum))
    assert conditions[0].status is status


def test_none_declared__nothing_is_asked_of_the_driver():
    conditions = gpu_conditions(a_snapshot(fault=NvmlFault(Fault.MISMATCH, "x")), "none", DriverSettings())
    assert said(conditions) == {("GpuDriver", ""): (Status.TRUE, "NotDeclared")}
