"""Declared GPUs against present ones."""

from typing import Final

from livefleet.hardware import SIGN_OF_FAULT, HardwareSampler, HardwareSnapshot, sign_row
from livefleet.hardware.models import Fault
from livefleet.kernel import Condition, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec import DriverSettings, GpuSelection, GpuSign

__all__ = ["GpuResource", "gpu_conditions"]

_TOO_OLD: Final = "declare a `driver.branch` that has it and `livefleet apply`, or lower `driver.min_version`"


class GpuResource:
    """Nothing to act on here (drivers are the deploy's): the difference becomes conditions."""

    name = "gpus"

    def __init__(
        self, sampler: HardwareSampler, declared: GpuSelection, driver: DriverSettings, *, every_s: float
    ) -> None:
        self._sampler = sampler
        self._declared = declared
        self._driver = driver
        self._every_s = every_s

    def judge_by(self, driver: DriverSettings) -> None:
        """Hold the driver against this from the next look on."""
        self._driver = driver

    async def observe(self) -> HardwareSnapshot:
        """The latest sample, or a fresh one before the sampler's first."""
        return self._sampler.latest or await self._sampler.sample()

    def plan(self, observed: HardwareSnapshot) -> Plan:
        """Conditions only."""
        return Plan((), gpu_conditions(observed, self._declared, self._driver), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """Never called: the plan has no actions."""


def gpu_conditions(snapshot: HardwareSnapshot, declared: GpuSelection, driver: DriverSettings) -> tuple[Condition, ...]:
    """What declared and present GPUs say together. Pure.

    A GPU that is declared by its UUID and missing keeps the node from being ready; one that is there and faulty only
    where no other is left.
    """
    if declared == "none":
        return (_driver(Status.TRUE, "NotDeclared", "no GPU is declared; work runs on the CPU"),)
    named = () if declared == "all" else declared
    fault = snapshot.fault
    if fault is not None and not named and fault.kind is Fault.NO_LIBRARY:
        return (_driver(Status.TRUE, "NoGpu", "no NVIDIA driver on this machine; work runs on the CPU"),)
    if fault is not None:
        advice = sign_row(SIGN_OF_FAULT[fault.kind]).advice
        missing = tuple(_gpu(uuid, Status.UNKNOWN, fault.kind.value, "NVML cannot be asked") for uuid in named)
        return (_driver(Status.FALSE, fault.kind.value, fault.text, advice), *missing)
    conditions = [_driver_version(snapshot, driver)]
    for uuid in named:
        gpu = snapshot.gpu(uuid)
        if gpu is None:
            present = ", ".join(g.uuid or f"index {g.index}" for g in snapshot.gpus) or "none"
            text = f"declared but not present; present: {present}"
            advice = f"{sign_row(GpuSign.MISSING).advice}; after a change of cards correct `gpus`"
            conditions.append(_gpu(uuid, Status.FALSE, "Missing", text, advice=advice))
    ours = [gpu for gpu in snapshot.gpus if not (named and gpu.uuid and gpu.uuid not in named)]
    is_last = all(gpu.fault is not None for gpu in ours)
    for gpu in ours:
        subject = gpu.uuid or f"index {gpu.index}"
        if gpu.fault is not None:
            advice = sign_row(SIGN_OF_FAULT[gpu.fault.kind]).advice
            told = _gpu(subject, Status.FALSE, gpu.fault.kind.value, gpu.fault.text, gates_ready=is_last, advice=advice)
            conditions.append(told)
        else:
            memory = "" if gpu.memory_total is None else f", {gpu.memory_total >> 20} MiB"
            conditions.append(_gpu(subject, Status.TRUE, "Present", f"{gpu.name}{memory}"))
    return tuple(conditions)


def _driver_version(snapshot: HardwareSnapshot, driver: DriverSettings) -> Condition:
    version = snapshot.driver_version
    if version is None:
        return _driver(Status.UNKNOWN, "VersionUnknown", "NVML does not tell the driver's version")
    if driver.min_version is not None and _parts(version) < _parts(driver.min_version):
        text = f"driver {version} is older than the declared minimum {driver.min_version}"
        return _driver(Status.FALSE, "TooOld", text, _TOO_OLD)
    return _driver(Status.TRUE, "Loaded", f"driver {version}, {len(snapshot.gpus)} device(s)")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _driver(status: Status, reason: str, message: str, advice: str = "") -> Condition:
    return Condition("GpuDriver", status, reason, message, advice=advice)


def _gpu(
    subject: str, status: Status, reason: str, message: str, *, gates_ready: bool = True, advice: str = ""
) -> Condition:
    return Condition("GpuPresent", status, reason, message, subject, gates_ready=gates_ready, advice=advice)
