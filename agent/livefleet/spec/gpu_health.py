"""What a fleet wants done about faults of its GPUs, where it is something else than the table says."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from livefleet.spec.model import SpecModel

__all__ = ["GpuAction", "GpuHealthSettings", "GpuSign", "XidCode"]

XidCode = Annotated[int, Field(ge=1, le=1023)]
"""Number of an error report of NVIDIA's driver."""


class GpuAction(StrEnum):
    """What a fault leads to."""

    IGNORE = "ignore"
    """Counted, and nothing else."""

    OBSERVE = "observe"
    """Told; work goes on."""

    DRAIN = "drain"
    """No work until it is over; then the GPU comes back by itself."""

    RESET = "reset"
    """No work until the GPU was reset, its driver loaded anew, or the host rebooted."""

    REBOOT = "reboot"
    """No work until the host was rebooted."""

    QUARANTINE = "quarantine"
    """No work until somebody takes it back by `livefleet agent gpu clear`."""

    REPLACE = "replace"
    """As quarantine; the card is at its end."""


class GpuSign(StrEnum):
    """What can be wrong with a GPU besides error reports (Xid): as NVML tells it, or does not answer."""

    LIBRARY_MISSING = "library-missing"
    DRIVER_MISSING = "driver-missing"
    DRIVER_MISMATCH = "driver-mismatch"
    NO_PERMISSION = "no-permission"
    BLOCKED = "blocked"
    NOT_ANSWERING = "not-answering"
    NVML_ERROR = "nvml-error"
    MISSING = "missing"
    LOST = "lost"
    RESET_REQUIRED = "reset-required"
    RECOVERY_ACTION = "recovery-action"
    ECC_UNCORRECTABLE = "ecc-uncorrectable"
    ROW_REMAP_FAILED = "row-remap-failed"
    ROW_REMAP_PENDING = "row-remap-pending"
    RETIREMENT_PENDING = "retirement-pending"
    PAGES_RETIRED = "pages-retired"
    THERMAL_SLOWDOWN = "thermal-slowdown"
    HARDWARE_THERMAL_SLOWDOWN = "hardware-thermal-slowdown"
    HARDWARE_SLOWDOWN = "hardware-slowdown"
    POWER_BRAKE = "power-brake"
    POWER_CAP = "power-cap"
    PCIE_DEGRADED = "pcie-degraded"
    WRONG_CARD = "wrong-card"


class GpuHealthSettings(SpecModel):
    """What is done about faults of this node's GPUs. What is left out goes by the built-in table."""

    xid: dict[XidCode, GpuAction] = {}
    """By the number of the driver's report: `{79: quarantine, 13: ignore}`. It holds from the first report on: the
    table's rule for repeated ones is left out too."""

    signs: dict[GpuSign, GpuAction] = {}
    """By what NVML tells: `{thermal-slowdown: drain}`. `recovery-action` stands for the driver's own advice. All but
    `quarantine` and `replace` are over once NVML tells it no more."""

    hold_s: float = Field(default=15.0, ge=0, le=3600)
    """Seconds that a GPU stays without work after its fault is over. They double each time that it comes back and fails
    again within six hours."""

    returns_before_quarantine: int = Field(default=4, ge=1, le=100)
    """How often it may come back within six hours. After that it is quarantined when it fails."""
