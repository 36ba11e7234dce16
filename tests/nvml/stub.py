"""Builds the NVML stand-in once and writes its state file."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("stub.c")


def build(folder: Path) -> Path:
    """Compile the stand-in into `folder` (once per source); returns the path of libnvidia-ml.so.1."""
    target = folder / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16] / "libnvidia-ml.so.1"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler = shutil.which("gcc") or shutil.which("cc")
        assert compiler is not None, "a C compiler is needed: apt-get install gcc"
        partial = target.with_suffix(f".{os.getpid()}")
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libnvidia-ml.so.1"]
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
        """Plug a device in (or change it)."""
        defaults: dict[str, object] = {
            "uuid": uuid, "name": "NVIDIA L4", "bus": f"00000000:{index + 1:02X}:00.0", "major": 8, "minor": 9,
            "mem_total": 24 << 30, "mem_used": 1 << 30, "temp": 45, "power": 30000, "util": 5, "enc": 0, "dec": 0,
        }  # fmt: skip
        for key, value in (defaults | fields).items():
            self.values[f"gpu{index}.{key}"] = str(value)
        self.write()

    def set(self, **values: object) -> None:
        """Set plain keys, such as init=9 or hang_ms=500."""
        self.values |= {key: str(value) for key, value in values.items()}
        self.write()

    def write(self) -> None:
        """Replace the state file in one step."""
        count = len({key.split(".")[0] for key in self.values if key.startswith("gpu")})
        lines = {"driver": self.driver, "count": str(count)} | self.values
        partial = self.path.with_suffix(".new")
        partial.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        partial.rename(self.path)
