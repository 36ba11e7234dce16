"""The machine's own name: an image's is the same on every host, and each takes the one that the fleet knows it by."""

import re
from pathlib import Path
from typing import Final

from livefleet.enrol.durable import write_durably

__all__ = ["name_files"]

_OF_IMAGES: Final = frozenset({"", "livefleet", "localhost", "localhost.localdomain"})
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123


def name_files(root: Path, name: str) -> bool:
    """Write `name` to /etc/hostname and, for the image's, to /etc/hosts.

    False, and nothing written, for a machine that has a name of its own already and for a name that no machine may
    have. Raises OutsideWorld.
    """
    wanted = name.lower()
    before = _read(root / "etc/hostname").strip()
    if before not in _OF_IMAGES or not _LABEL.fullmatch(wanted):
        return False
    hosts = _read(root / "etc/hosts")
    named = re.sub(r"^(127\.0\.1\.1[ \t]+)\S+.*$", rf"\g<1>{wanted}", hosts, flags=re.MULTILINE)
    if named != hosts:
        write_durably(root / "etc/hosts", named.encode(), mode=0o644)
    write_durably(root / "etc/hostname", f"{wanted}\n".encode(), mode=0o644)
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
