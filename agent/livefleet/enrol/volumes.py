"""Volumes by their label, mounted read-only for as long as one file of them is read."""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from livefleet.kernel import BadInput

__all__ = ["MountedVolumes"]

_BY_LABEL: Final = Path("/dev/disk/by-label")
_KINDS: Final = "vfat,exfat,iso9660,udf,ext4"
_OPTIONS: Final = "ro,nosuid,nodev,noexec"


class MountedVolumes:
    """The machine's own. Needs root; where this process is not, there are none."""

    def __init__(self, by_label: Path = _BY_LABEL, *, mount_s: float = 20.0) -> None:
        self._by_label = by_label
        self._mount_s = mount_s

    def read(self, label: str, name: str, most: int) -> bytes | None:
        """See Volumes."""
        device = self._device(label)
        if device is None or os.geteuid() != 0:
            return None
        with tempfile.TemporaryDirectory(prefix="livefleet-stick-") as place:
            self._run(["mount", "-t", _KINDS, "-o", _OPTIONS, "--", str(device), place], f"the volume {label}")
            try:
                return _file(Path(place), name, most, label)
            finally:
                with contextlib.suppress(BadInput):  # a stick that was pulled out; the lazy way always works
                    self._run(["umount", "--lazy", "--", place], f"the volume {label}")

    def _device(self, label: str) -> Path | None:
        try:
            found = {path.name.casefold(): path for path in self._by_label.iterdir()}
        except OSError:
            return None
        return found.get(label.casefold())

    def _run(self, words: list[str], what: str) -> None:
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=self._mount_s, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInput(f"{what} cannot be mounted: {error}") from error
        if done.returncode:
            raise BadInput(f"{what} cannot be mounted: {' '.join(done.stderr.split()) or f'exit {done.returncode}'}")


def _file(folder: Path, name: str, most: int, label: str) -> bytes | None:
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            return file.read(most)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{label}/{name}: cannot be read: {error.strerror}") from error
