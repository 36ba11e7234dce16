"""NVIDIA's architectures by PCI device id: there is no driver to ask on a bare host."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, get_args

from livefleet.spec import GpuFamily

__all__ = ["FAMILIES", "Family", "at_least", "families_of", "family_of"]


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture, and what drives it."""

    name: GpuFamily
    first_id: int  # PCI device ids from here up to the next row's
    open_modules: bool
    proprietary_modules: bool
    first_branch: int
    encoder: bool = True  # NVENC; single cards without one (GT 1030) show only when it is opened


# Sources: the PCI ID database (pci-ids.ucw.cz, 2023-04-11), vendor 10de: every graphics chip named there from GM10x to
# AD10x falls into its row; Blackwell from NVIDIA's list of supported chips (B100 0x2901, RTX 5090 0x2b85).
# Modules: README of NVIDIA's open-gpu-kernel-modules ("Turing and later"); driver release notes 570: Blackwell by the
# open modules alone, and first by 570. Encoders: NVIDIA, Video Encode and Decode GPU Support Matrix (none on A30, A100,
# H100, H200, B100, B200). GH200 (0x2342) too wants the open ones; they are chosen from Turing on anyway.
_ROWS: Final = (
    Family("maxwell", 0x1340, open_modules=False, proprietary_modules=True, first_branch=340),
    Family("pascal", 0x15F0, open_modules=False, proprietary_modules=True, first_branch=367),
    Family("maxwell", 0x1600, open_modules=False, proprietary_modules=True, first_branch=340),  # GM20x
    Family("pascal", 0x1725, open_modules=False, proprietary_modules=True, first_branch=367),  # GP100
    Family("maxwell", 0x1730, open_modules=False, proprietary_modules=True, first_branch=340),  # GM20x mobile
    Family("pascal", 0x1B00, open_modules=False, proprietary_modules=True, first_branch=367),
    Family("volta", 0x1D80, open_modules=False, proprietary_modules=True, first_branch=384),
    Family("turing", 0x1E00, open_modules=True, proprietary_modules=True, first_branch=410),
    Family("ampere", 0x2080, open_modules=True, proprietary_modules=True, first_branch=450, encoder=False),  # GA100
    Family("turing", 0x2180, open_modules=True, proprietary_modules=True, first_branch=418),  # TU116: GTX 16xx
    Family("ampere", 0x2200, open_modules=True, proprietary_modules=True, first_branch=455),
    Family("hopper", 0x2300, open_modules=True, proprietary_modules=True, first_branch=525, encoder=False),
    Family("ampere", 0x2400, open_modules=True, proprietary_modules=True, first_branch=455),
    Family("ada", 0x2680, open_modules=True, proprietary_modules=True, first_branch=525),
    Family("blackwell", 0x2900, open_modules=True, proprietary_modules=False, first_branch=570, encoder=False),  # GB10x
    Family("blackwell", 0x2B00, open_modules=True, proprietary_modules=False, first_branch=570),  # GB20x
    Family("blackwell", 0x3180, open_modules=True, proprietary_modules=False, first_branch=570, encoder=False),  # GB110
)

FAMILIES: Final[tuple[Family, ...]] = _ROWS
"""Rows by rising first id; the last row has no upper end: a newer card counts as the newest known."""

_ORDER: Final[tuple[str, ...]] = get_args(GpuFamily)


def family_of(device: int) -> Family | None:
    """The architecture of a PCI device id; None for cards older than any here (Kepler and before)."""
    found = None
    for family in FAMILIES:
        if family.first_id > device:
            break
        found = family
    return found


def families_of(devices: Iterable[int]) -> tuple[Family, ...]:
    """The architectures of these devices, oldest first, each once; unknown ones are left out."""
    known = {family.name: family for device in devices if (family := family_of(device)) is not None}
    return tuple(sorted(known.values(), key=lambda family: _ORDER.index(family.name)))


def at_least(name: GpuFamily, oldest: GpuFamily) -> bool:
    """Whether an architecture is that one or a newer one."""
    return _ORDER.index(name) >= _ORDER.index(oldest)
