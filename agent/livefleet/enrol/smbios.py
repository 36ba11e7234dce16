"""OEM strings of the machine's SMBIOS, which a hypervisor or a board's maker can set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["oem_strings", "strings_of"]

_TYPE: Final = 11  # OEM Strings. Source: SMBIOS reference specification (DSP0134), 7.12
_HEADER: Final = 4  # bytes: type, length of the formatted part, handle
_MOST: Final = 1 << 16  # bytes of one structure


def oem_strings(root: Path) -> Iterator[str]:
    """All OEM strings that the kernel hands out, to root alone."""
    for entry in sorted((root / "sys/firmware/dmi/entries").glob(f"{_TYPE}-*/raw")):
        try:
            with entry.open("rb") as file:
                raw = file.read(_MOST)
        except OSError:
            continue
        yield from strings_of(raw)


def strings_of(raw: bytes) -> list[str]:
    """The strings behind a structure's formatted part; none for a structure that is cut off or of another type."""
    if len(raw) < _HEADER or raw[0] != _TYPE or not _HEADER <= raw[1] <= len(raw):
        return []
    found = []
    for text in raw[raw[1] :].split(b"\0"):
        if not text:
            break  # two zero bytes end the structure
        found.append(text.decode("ascii", "replace"))
    return found
