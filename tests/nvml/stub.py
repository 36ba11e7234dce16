"""Builds the NVML stand-in once and writes its state file."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

XID = 8
"""NVML's kind of event whose data is the number of an Xid."""

SOURCE = Path(__file__).with_name("stub.c")


def build(folder: Path, *defines: str) -> Path:
    """Compile the stand-in into `folder` (once per source); returns the path of libnvidia-ml.so.1.

    `OLD_DRIVER` among the defines leaves out the symbols that drivers before r535 lack.
    """
    stamp = hashlib.sha256(SOURCE.read_bytes() + " ".join(defines).encode()).hexdigest()[:16]
    target = folder / stamp / "libnvidia-ml.so.1"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler = shutil.which("gcc") or shutil.which("cc")
        assert compiler is not None, "a C compiler is needed: apt-get install gcc"
        partial = target.with_suffix(f".{os.getpid()}")
        flags = ["-shared", "-fPIC", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libnvidia-ml.so.1"]
        flags += [f"-D{name}" for name in defines]
        subprocess.run([compiler, *flags, "-o", str(partial), str(SOURCE)], check=True)
        partial.rename(target)
    return target


def load(library: Path) -> None:
    """Load the stand-in into this process; a later dlopen by its soname finds it."""
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


@dataclass
class NvmlState:
    """The stand-in's hardware, written to its state file."""

    path: Path
    driver: str = "580.65.06"
    values: dict[str, str] = field(default_factory=dict)

    def gpu(self, index: int, uuid: str, **fields: object) -> None:
        """Plug a device in, or change it: fields that are not given are as those of a well one."""
        self.plug(index, uuid, **fields)
        self.write()

    def plug(self, index: int, uuid: str, **fields: object) -> None:
        """The same, seen with the next write."""
        defaults: dict[str, object] = {
            "uuid": uuid, "name": "NVIDIA L4", "bus": f"00000000:{index + 1:02X}:00.0", "major": 8, "minor": 9,
            "mem_total": 24 << 30, "mem_used": 1 << 30, "temp": 45, "power": 30000, "util": 5, "enc": 0, "dec": 0,
            "reasons": 1, "power_limit": 72000, "clock_sm": 2040, "clock_mem": 6251, "slowdown": 95, "shutdown": 98,
            "pcie_gen": 4, "pcie_width": 16, "pcie_max_gen": 4, "pcie_max_width": 16, "replays": 0, "persistence": 1,
            "sessions": 0, "ecc": "0 0 0 0", "remapped": "0 0 0 0", "recovery": 0, "energy": 5000000, "events": 0xC00A,
        }  # fmt: skip
        for key, value in (defaults | fields).items():
            self.values[f"gpu{index}.{key}"] = str(value)

    def unplug(self, index: int) -> None:
        """Take a device out."""
        self.values = {key: value for key, value in self.values.items() if not key.startswith(f"gpu{index}.")}
        self.write()

    def forget(self, index: int, *fields: str) -> None:
        """From now on the device does not know these."""
        for name in fields:
            self.values.pop(f"gpu{index}.{name}", None)
        self.write()

    def event(self, index: int, data: int, *, kind: int = XID) -> None:
        """The driver reports something about the device."""
        with self.path.with_name(f"{self.path.name}.events").open("a") as file:
            file.write(f"{index} {kind} {data}\n")

    def set(self, **values: object) -> None:
        """Set plain keys, such as init=9 or hang_ms=500."""
        self.values |= {key: str(value) for key, value in values.items()}
        self.write()

    def write(self) -> None:
        """Replace the state file in one step."""
        count = len({key.split(".")[0] for key in self.values if key.startswith("gpu")})
        lines = {"driver": self.driver, "count": str(count)} | self.values
        partial = self.path.with_suffix(".new")
        text = "".join(f"{key} {value}\n" for key, value in lines.items())
        partial.write_bytes(text.encode(errors="surrogateescape"))
        partial.rename(self.path)
