"""Wheels that bring the same file with other content: which of them wins is chance, and in an image it must not be."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["settle_collisions"]


def settle_collisions(site_packages: Path, wheels: Sequence[Path]) -> tuple[str, ...]:
    """Let the last wheel by name win, and leave no bytecode of another's source. The files that were settled."""
    brought: dict[str, dict[Path, int]] = {}
    for wheel in sorted(wheels, key=lambda path: path.name):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    brought.setdefault(entry.filename, {})[wheel] = entry.CRC
    settled = tuple(sorted(name for name, crcs in brought.items() if len(set(crcs.values())) > 1))
    for name in settled:
        *_, last = brought[name]
        target = site_packages / name
        with zipfile.ZipFile(last) as archive:
            target.write_bytes(archive.read(name))
        for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
            compiled.unlink()
    return settled
