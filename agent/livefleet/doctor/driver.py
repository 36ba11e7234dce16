"""The NVIDIA driver from below: what the kernel and the file system say, held against NVML."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.hardware import HardwareSnapshot
from livefleet.kernel import Condition, Status
from livefleet.spec import Finding, Grade

__all__ = ["DriverFacts", "judge_driver", "read_driver"]

_NVIDIA: Final = "0x10de"
_DISPLAY: Final = ("0x0300", "0x0302")  # VGA and 3D controllers
_LIBRARIES: Final = ("libnvidia-encode.so.1", "libnvcuvid.so.1")
"""NVENC and NVDEC; packages for computing alone leave them out."""


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """Read at one moment."""

    on_bus: tuple[str, ...]  # PCI addresses of NVIDIA's display devices
    module: str | None  # version of the kernel module that is loaded
    is_nouveau_loaded: bool
    missing_libraries: tuple[str, ...]  # of those that transcoding needs
    locked_nodes: tuple[str, ...]  # device nodes that this process may not open
    snapshot: HardwareSnapshot


def read_driver(snapshot: HardwareSnapshot, *, root: Path = Path("/")) -> DriverFacts:
    """Read them. Blocks for as long as the loader looks for two libraries."""
    return DriverFacts(
        on_bus=_on_bus(root),
        module=_module(root),
        is_nouveau_loaded=_loaded(root, "nouveau"),
        missing_libraries=tuple(name for name in _LIBRARIES if not _is_loadable(name)),
        locked_nodes=_locked_nodes(root),
        snapshot=snapshot,
    )


def judge_driver(facts: DriverFacts, conditions: tuple[Condition, ...], *, transcodes: bool) -> list[Finding]:
    """What they mean, with what the agent would say of the same snapshot. Pure."""
    found = [_bus(facts), *_module_findings(facts)]
    if transcodes and facts.module is not None:
        found.append(_libraries(facts.missing_libraries))
    if facts.locked_nodes:
        text = f"no permission for {', '.join(facts.locked_nodes)}"
        found.append(_fail("device nodes", text, "`livefleet apply` writes the unit that may open them (DeviceAllow)"))
    if facts.on_bus or facts.module is not None:
        found += [_of_condition(condition) for condition in conditions]
    return found


def _bus(facts: DriverFacts) -> Finding:
    count, seen = len(facts.on_bus), len(facts.snapshot.gpus)
    if not count:
        return Finding(area="driver", what="devices", grade=Grade.OK, message="no NVIDIA device on the PCI bus")
    text = f"{count} NVIDIA device(s) on the PCI bus, {seen} in NVML"
    if facts.module is not None and seen < count:
        fix = "one fell off the bus or is given to a virtual machine: `dmesg | grep -i xid`; drain and reboot"
        return _fail("devices", text, fix)
    return Finding(area="driver", what="devices", grade=Grade.OK, message=text)


def _module_findings(facts: DriverFacts) -> list[Finding]:
    if facts.is_nouveau_loaded:
        fix = "`livefleet apply` keeps it from loading; then reboot"
        return [_fail("module", "nouveau is loaded, and holds the devices", fix)]
    if facts.module is None:
        if not facts.on_bus:
            return []
        return [_fail("module", "no NVIDIA kernel module is loaded", "declare `driver:` and `livefleet apply`")]
    library = facts.snapshot.driver_version
    if library is not None and library != facts.module:
        text = f"the module is {facts.module}, the library {library}"
        return [_fail("module", text, "the driver was upgraded under it: drain and reboot")]
    return [Finding(area="driver", what="module", grade=Grade.OK, message=facts.module)]


def _libraries(missing: tuple[str, ...]) -> Finding:
    if missing:
        text = f"missing: {', '.join(missing)}; nothing is transcoded on GPUs"
        return _fail("video libraries", text, "`livefleet apply` installs the driver's encode and decode packages")
    return Finding(area="driver", what="video libraries", grade=Grade.OK, message=", ".join(_LIBRARIES))


def _of_condition(condition: Condition) -> Finding:
    what = f"{condition.name} {condition.subject}".strip()
    match condition.status:
        case Status.TRUE:
            return Finding(area="driver", what=what, grade=Grade.OK, message=condition.message)
        case Status.UNKNOWN:
            return Finding(area="driver", what=what, grade=Grade.WARN, message=condition.message)
        case Status.FALSE:
            text, _, fix = condition.message.rpartition("; ")
            return _fail(what, text or condition.message, fix if text else "see the kernel log: `dmesg | grep -i nvrm`")


def _fail(what: str, message: str, fix: str) -> Finding:
    return Finding(area="driver", what=what, grade=Grade.FAIL, message=message, fix=fix)


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
    return any(line.startswith(f"{module} ") for line in _text(root / "proc/modules").splitlines())


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
