"""The NVIDIA driver from below: what the kernel and the file system say, held against NVML."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.hardware import HardwareSnapshot
from livefleet.hardware.models import Fault
from livefleet.kernel import Condition, Status
from livefleet.spec import Finding, Grade, Trouble

__all__ = ["DriverFacts", "judge_driver", "of_condition", "read_driver"]

_NVIDIA: Final = "0x10de"
_DISPLAY: Final = ("0x0300", "0x0302")  # VGA and 3D controllers
_LIBRARIES: Final = ("libnvidia-encode.so.1", "libnvcuvid.so.1")
"""NVENC and NVDEC; packages for computing alone leave them out."""
_NVML: Final = "libnvidia-ml.so.1"


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """Read at one moment."""

    on_bus: tuple[str, ...]  # PCI addresses of NVIDIA's display devices
    module: str | None  # version of the kernel module that is loaded
    library: str | None  # version of the library as its file's name says; None: none, or a name without one
    is_nouveau_loaded: bool
    missing_libraries: tuple[str, ...]  # of those that transcoding needs
    locked_nodes: tuple[str, ...]  # device nodes that this process may not open
    snapshot: HardwareSnapshot


def read_driver(snapshot: HardwareSnapshot, *, root: Path = Path("/")) -> DriverFacts:
    """Read them. Blocks for as long as the loader looks for two libraries."""
    return DriverFacts(
        on_bus=_on_bus(root),
        module=_module(root),
        library=_library(),
        is_nouveau_loaded=_loaded(root, "nouveau"),
        missing_libraries=tuple(name for name in _LIBRARIES if not _is_loadable(name)),
        locked_nodes=_locked_nodes(root),
        snapshot=snapshot,
    )


def judge_driver(facts: DriverFacts, conditions: tuple[Condition, ...], *, transcodes: bool) -> list[Finding]:
    """What they mean, with what the agent would say of the same snapshot. Pure."""
    modules = _module_findings(facts)
    found = [_bus(facts), *modules]
    if transcodes and facts.module is not None:
        found.append(_libraries(facts.missing_libraries))
    if facts.locked_nodes:
        text = f"no permission for {', '.join(facts.locked_nodes)}"
        fix = "the device rules of this machine or container forbid it: let it have `/dev/nvidia*` (c 195:* rw)"
        found.append(_fail(Trouble.DEVICE_NODES_LOCKED, "device nodes", text, fix))
    is_told = any(finding.grade is Grade.FAIL for finding in modules)
    conditions = tuple(c for c in conditions if not (is_told and _follows(c)))
    if facts.on_bus or facts.module is not None or any(c.status is not Status.TRUE for c in conditions):
        found += [_with_module(of_condition(condition), facts.module) for condition in conditions]
    return found


def _with_module(finding: Finding, module: str | None) -> Finding:
    """NVML says the same where there is no module and where there is no way to it."""
    if finding.trouble != Trouble.DRIVER_NOT_LOADED or module is None:
        return finding
    text = f"{finding.message}, and the module is: there is no way to it"
    fix = "`nvidia-modprobe -c 0 -u` makes what lacks of `/dev/nvidia*`; in a container, let it have these"
    return finding.model_copy(update={"message": text, "fix": fix})


def of_condition(condition: Condition) -> Finding:
    """A finding from what the agent would say of a GPU or the driver. Pure."""
    what = f"{condition.name} {condition.subject}".strip()
    if condition.status is Status.TRUE:
        return Finding(area="driver", what=what, grade=Grade.OK, message=condition.message)
    trouble = _TROUBLES.get((condition.name, condition.reason))
    if trouble is None:
        trouble = {"GpuDriver": Trouble.NVML_FAILED}.get(condition.name, Trouble.GPU_FAILED)
    if condition.status is Status.UNKNOWN:
        fix = _IS_UNKNOWN[condition.name]
        trouble = _UNKNOWN.get(condition.name, trouble)
        return Finding(area="driver", what=what, grade=Grade.WARN, message=condition.message, fix=fix, trouble=trouble)
    return _fail(trouble, what, condition.message, condition.advice or "see the kernel log: `dmesg | grep -i nvrm`")


_TROUBLES: Final = {
    ("GpuDriver", Fault.NO_LIBRARY.value): Trouble.NVML_MISSING,
    ("GpuDriver", Fault.NO_DRIVER.value): Trouble.DRIVER_NOT_LOADED,
    ("GpuDriver", Fault.MISMATCH.value): Trouble.DRIVER_MISMATCH,
    ("GpuDriver", Fault.HANGING.value): Trouble.NVML_NOT_ANSWERING,
    ("GpuDriver", Fault.NO_PERMISSION.value): Trouble.NVML_REFUSED,
    ("GpuDriver", Fault.BLOCKED.value): Trouble.NVML_BLOCKED,
    ("GpuDriver", "TooOld"): Trouble.DRIVER_TOO_OLD,
    ("GpuPresent", "Missing"): Trouble.GPU_MISSING,
    ("GpuPresent", Fault.LOST.value): Trouble.GPU_LOST,
    ("GpuPresent", Fault.RESET_REQUIRED.value): Trouble.GPU_RESET_REQUIRED,
}
_UNKNOWN: Final = {"GpuDriver": Trouble.DRIVER_VERSION_UNKNOWN, "GpuPresent": Trouble.GPU_UNKNOWN}
_IS_UNKNOWN: Final = {
    "GpuDriver": "compare with `nvidia-smi`; the node works on, and `driver.min_version` is not checked",
    "GpuPresent": "put the driver right first, then ask again",
}
_SAID_BY_THE_MODULE: Final = {Fault.NO_LIBRARY.value, Fault.NO_DRIVER.value, Fault.MISMATCH.value}


def _follows(condition: Condition) -> bool:
    """Whether it is so because of the module, which is told by itself."""
    return condition.name == "GpuDriver" and condition.reason in _SAID_BY_THE_MODULE


def _bus(facts: DriverFacts) -> Finding:
    count, seen = len(facts.on_bus), len(facts.snapshot.gpus)
    if not count:
        return Finding(area="driver", what="devices", grade=Grade.OK, message="no NVIDIA device on the PCI bus")
    in_nvml = f"{seen} in NVML" if facts.snapshot.fault is None else "NVML cannot be asked"
    text = f"{count} NVIDIA device(s) on the PCI bus, {in_nvml}"
    if facts.module is not None and facts.snapshot.fault is None and seen < count:
        fix = "one fell off the bus or is given to a virtual machine: `dmesg | grep -i xid`; drain and reboot"
        return _fail(Trouble.DEVICES_MISSING, "devices", text, fix)
    return Finding(area="driver", what="devices", grade=Grade.OK, message=text)


def _module_findings(facts: DriverFacts) -> list[Finding]:
    if facts.is_nouveau_loaded:
        fix = "`livefleet apply` keeps it from loading; then reboot"
        return [_fail(Trouble.NOUVEAU_LOADED, "module", "nouveau is loaded, and holds the devices", fix)]
    if facts.module is None:
        if not facts.on_bus:
            return []
        fix = "`livefleet apply` installs and loads the driver; where it is installed, `modprobe nvidia` says what ails"
        return [_fail(Trouble.MODULE_NOT_LOADED, "module", "no NVIDIA kernel module is loaded", fix)]
    library = facts.library or facts.snapshot.driver_version
    if library is not None and library != facts.module:
        text = f"the module that is loaded is {facts.module}, the library {library}"
        fix = "the driver was upgraded under it: `livefleet drain --host HOST`, reboot"
        return [_fail(Trouble.DRIVER_MISMATCH, "module", text, fix)]
    return [Finding(area="driver", what="module", grade=Grade.OK, message=facts.module)]


def _libraries(missing: tuple[str, ...]) -> Finding:
    if missing:
        text = f"missing: {', '.join(missing)}; nothing is transcoded on GPUs"
        fix = "`livefleet apply` installs the driver's encode and decode packages"
        return _fail(Trouble.VIDEO_LIBRARIES_MISSING, "video libraries", text, fix)
    return Finding(area="driver", what="video libraries", grade=Grade.OK, message=", ".join(_LIBRARIES))


def _fail(trouble: Trouble, what: str, message: str, fix: str) -> Finding:
    return Finding.bad(trouble, "driver", what, message, fix)


def _on_bus(root: Path) -> tuple[str, ...]:
    return tuple(
        device.name
        for device in sorted((root / "sys/bus/pci/devices").glob("*"))
        if _text(device / "vendor") == _NVIDIA and _text(device / "class").startswith(_DISPLAY)
    )


def _module(root: Path) -> str | None:
    found = re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", _text(root / "proc/driver/nvidia/version"))
    return found[1] if found else None


def _loaded(root: Path, module: str) -> bool:
    return (root / "sys/module" / module).is_dir()


def _library() -> str | None:
    """Of the file that the loader finds: `libnvidia-ml.so.1` is a link to `libnvidia-ml.so.580.65.06`."""
    if not _is_loadable(_NVML):
        return None
    mapped = re.search(r"/libnvidia-ml\.so\.(\d{3,}(?:\.\d+)+)$", _text(Path("/proc/self/maps")), re.MULTILINE)
    return mapped[1] if mapped else None


def _is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _locked_nodes(root: Path) -> tuple[str, ...]:
    locked = []
    for node in sorted((root / "dev").glob("nvidia*")):
        if node.is_dir():
            continue
        try:
            node.open("rb").close()
        except PermissionError:
            locked.append(f"/dev/{node.name}")
        except OSError:
            pass  # a device that is gone or busy is told by NVML
    return tuple(locked)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
