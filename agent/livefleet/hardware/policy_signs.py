"""What NVML tells of a GPU, and what each of it leads to: data, and the reading of a sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from livefleet.hardware.models import Fault, GpuSample, NvmlFault
from livefleet.hardware.policy_rows import Facet, GpuState, Later, SignRow
from livefleet.hardware.policy_xid import RESET_IT, recovery_row
from livefleet.spec import GpuSign

__all__ = ["SIGN_OF_FAULT", "SIGN_ROWS", "Shown", "shown", "sign_row"]

_WATCH, _DRAIN = GpuState.WATCH, GpuState.DRAIN
_DISMAL: Final = 60  # pages; there is room in a board's memory of them for few more
_UNDER_LOAD: Final = 20  # percent: an idle link goes to sleep
_THROTTLE: Final = "NVML's clock event reasons"

SIGN_ROWS: Final = (
    SignRow(
        GpuSign.LIBRARY_MISSING,
        "LibraryMissing",
        "libnvidia-ml.so.1 is not installed (NVML 12)",
        Facet.ANSWERING,
        _DRAIN,
        "install the driver: run apply again",
        is_of_node=True,
    ),
    SignRow(
        GpuSign.DRIVER_MISSING,
        "DriverMissing",
        "the driver is not loaded (NVML 9)",
        Facet.ANSWERING,
        _DRAIN,
        "load the driver module or reboot",
        is_of_node=True,
    ),
    SignRow(
        GpuSign.DRIVER_MISMATCH,
        "DriverMismatch",
        "the driver was upgraded under a running module (NVML 18)",
        Facet.ANSWERING,
        GpuState.REBOOT,
        "reboot the host, or unload the old module",
        is_of_node=True,
    ),
    SignRow(
        GpuSign.NO_PERMISSION,
        "NoPermission",
        "the service may not open the device (NVML 4)",
        Facet.ANSWERING,
        _DRAIN,
        "check /dev/nvidia* and the unit's DeviceAllow",
        is_of_node=True,
    ),
    SignRow(
        GpuSign.BLOCKED,
        "Blocked",
        "the system or the cgroup keeps NVML from the device (NVML 17)",
        Facet.ANSWERING,
        _DRAIN,
        "look at the unit's DeviceAllow, or at who has the device; start the service anew",
    ),
    SignRow(
        GpuSign.NOT_ANSWERING,
        "NvmlHangs",
        "a call of NVML did not come back in time",
        Facet.ANSWERING,
        _DRAIN,
        "it comes back by itself when the driver does; else reboot the host",
        is_of_node=True,
    ),
    SignRow(
        GpuSign.NVML_ERROR,
        "NvmlError",
        "NVML answers with an error that the table does not know (999 and others)",
        Facet.ANSWERING,
        _DRAIN,
        "see the kernel log; in a container 999 mostly is a lost device cgroup: start it anew",
    ),
    SignRow(
        GpuSign.MISSING,
        "Missing",
        "the GPU was there and NVML lists it no more",
        Facet.ANSWERING,
        GpuState.REBOOT,
        "reboot the host; if it stays away, look at power, riser and slot",
    ),
    SignRow(
        GpuSign.LOST,
        "GpuLost",
        "the GPU has fallen off the bus (NVML 15)",
        Facet.ANSWERING,
        GpuState.REBOOT,
        "reboot the host; then look at power, riser and heat",
    ),
    SignRow(
        GpuSign.RESET_REQUIRED,
        "ResetRequired",
        "the GPU wants to be reset (NVML 16)",
        Facet.ANSWERING,
        GpuState.RESET,
        RESET_IT,
    ),
    SignRow(
        GpuSign.RECOVERY_ACTION,
        "RecoveryAction",
        "the driver gives advice of its own, which decides (table of recovery actions)",
        Facet.FIRMWARE,
        GpuState.RESET,
        "do what the driver says",
        source="NVML field 230",
    ),
    SignRow(
        GpuSign.ECC_UNCORRECTABLE,
        "EccUncorrectable",
        "uncorrectable memory errors since the last reset; a contained one (Xid 94) alone is only watched",
        Facet.MEMORY,
        GpuState.RESET,
        RESET_IT,
        after_s=5.0,  # the report that says whether it was contained comes a moment later
    ),
    SignRow(
        GpuSign.ROW_REMAP_FAILED,
        "RowRemapFailed",
        "no spare row of memory is left",
        Facet.MEMORY,
        GpuState.REPLACE,
        "have the card replaced under warranty (RMA)",
    ),
    SignRow(
        GpuSign.ROW_REMAP_PENDING,
        "RowRemapPending",
        "a row of memory is remapped at the next reset",
        Facet.MEMORY,
        _WATCH,
        "it works; reset it when it is empty anyway",
    ),
    SignRow(
        GpuSign.RETIREMENT_PENDING,
        "RetirementPending",
        "a page of memory is retired at the next reset",
        Facet.MEMORY,
        _WATCH,
        "it works; reset it when it is empty anyway",
    ),
    SignRow(
        GpuSign.PAGES_RETIRED,
        "PagesRetired",
        f"{_DISMAL} pages of memory or more are retired",
        Facet.MEMORY,
        _WATCH,
        "ask for a replacement under warranty (RMA): hardly any page is left to be retired",
        source="NVML; the number is this table's",
    ),
    SignRow(
        GpuSign.THERMAL_SLOWDOWN,
        "ThermalThrottle",
        "hot: the driver has slowed the clocks (0x20)",
        Facet.COOL,
        _WATCH,
        "look at fans, dust and the air's way; or lower the power limit",
        after_s=60.0,
        gap_s=15.0,
        source=_THROTTLE,
    ),
    SignRow(
        GpuSign.HARDWARE_THERMAL_SLOWDOWN,
        "HardwareThermalThrottle",
        "very hot: the hardware has slowed the clocks (0x40)",
        Facet.COOL,
        _WATCH,
        "look at fans, dust and the air's way at once",
        after_s=60.0,
        gap_s=15.0,
        later=Later(300.0, _DRAIN),
        source=_THROTTLE,
    ),
    SignRow(
        GpuSign.HARDWARE_SLOWDOWN,
        "HardwareSlowdown",
        "clocks are halved or worse, by heat, power brake or a fast trigger (0x8)",
        Facet.POWER,
        _WATCH,
        "look at heat, power supply and cables",
        after_s=60.0,
        gap_s=15.0,
        source=_THROTTLE,
    ),
    SignRow(
        GpuSign.POWER_BRAKE,
        "PowerBrake",
        "the power supply signals that it is overloaded (0x80)",
        Facet.POWER,
        _WATCH,
        "the host's power supply is too weak or failing; lower the power limits until it is changed",
        after_s=60.0,
        gap_s=15.0,
        later=Later(300.0, _DRAIN),
        source=_THROTTLE,
    ),
    SignRow(
        GpuSign.POWER_CAP,
        "PowerCap",
        "at its power limit (0x4): what a busy GPU is",
        Facet.POWER,
        GpuState.HEALTHY,
        "nothing",
        after_s=60.0,
        gap_s=15.0,
        source=_THROTTLE,
    ),
    SignRow(
        GpuSign.PCIE_DEGRADED,
        "PcieDegraded",
        "under load its PCIe link is narrower or slower than card and slot allow together",
        Facet.LINK,
        _WATCH,
        "reseat the card; look at the riser and at the slot's setting",
        after_s=60.0,
        gap_s=15.0,
    ),
    SignRow(
        GpuSign.WRONG_CARD,
        "WrongCard",
        "the card is not what the host's profile is for",
        Facet.CARD,
        _WATCH,
        "declare the card's own profile",
        source="the profiles' card table",
    ),
)
"""Each sign once, the most far-reaching first."""

_ROWS: Final = {row.sign: row for row in SIGN_ROWS}

SIGN_OF_FAULT: Final = {
    Fault.NO_LIBRARY: GpuSign.LIBRARY_MISSING,
    Fault.NO_DRIVER: GpuSign.DRIVER_MISSING,
    Fault.MISMATCH: GpuSign.DRIVER_MISMATCH,
    Fault.NO_PERMISSION: GpuSign.NO_PERMISSION,
    Fault.BLOCKED: GpuSign.BLOCKED,
    Fault.HANGING: GpuSign.NOT_ANSWERING,
    Fault.LOST: GpuSign.LOST,
    Fault.RESET_REQUIRED: GpuSign.RESET_REQUIRED,
    Fault.OTHER: GpuSign.NVML_ERROR,
}
"""Of NVML as a whole, or of one device."""

_REASONS: Final = (
    (0x4, GpuSign.POWER_CAP),
    (0x8, GpuSign.HARDWARE_SLOWDOWN),
    (0x20, GpuSign.THERMAL_SLOWDOWN),
    (0x40, GpuSign.HARDWARE_THERMAL_SLOWDOWN),
    (0x80, GpuSign.POWER_BRAKE),
)


def sign_row(sign: GpuSign) -> SignRow:
    """The row of a sign."""
    return _ROWS[sign]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a look shows: each sign with what was seen, and the signs that it cannot tell of."""

    signs: Mapping[GpuSign, str]
    untold: frozenset[GpuSign]


def shown(sample: GpuSample | None, fault: NvmlFault | None, card: str = "") -> Shown:
    """Read one look at a GPU. `sample` None: NVML lists it no more; `fault`: NVML as a whole gives no answer.

    `card`: why it is the wrong one. Pure.
    """
    signs: dict[GpuSign, str] = {}
    if card:
        signs[GpuSign.WRONG_CARD] = card
    if fault is None and sample is not None and sample.fault is None:
        told, untold = _details(sample)
        return Shown(signs | told, untold)
    device_fault = fault or (None if sample is None else sample.fault)
    if device_fault is None:
        signs[GpuSign.MISSING] = "not in NVML's list"
    else:
        signs[SIGN_OF_FAULT[device_fault.kind]] = device_fault.text
    details = frozenset(_ROWS) - set(SIGN_OF_FAULT.values()) - {GpuSign.WRONG_CARD, GpuSign.MISSING}
    return Shown(signs, details | {GpuSign.MISSING} if fault is not None else details)


def _details(sample: GpuSample) -> tuple[dict[GpuSign, str], frozenset[GpuSign]]:
    signs: dict[GpuSign, str] = {}
    untold: set[GpuSign] = set()
    if sample.recovery_action:
        signs[GpuSign.RECOVERY_ACTION] = recovery_row(sample.recovery_action).meaning
    if sample.ecc is not None and (sample.ecc.volatile_uncorrected or 0) > 0:
        signs[GpuSign.ECC_UNCORRECTABLE] = f"{sample.ecc.volatile_uncorrected} since the last reset"
    if sample.remapped is not None and sample.remapped.failed:
        signs[GpuSign.ROW_REMAP_FAILED] = f"{sample.remapped.uncorrectable} rows were remapped before"
    if sample.remapped is not None and sample.remapped.pending:
        signs[GpuSign.ROW_REMAP_PENDING] = "pending"
    if sample.retirement_pending:
        signs[GpuSign.RETIREMENT_PENDING] = "pending"
    if (sample.retired_pages or 0) >= _DISMAL:
        signs[GpuSign.PAGES_RETIRED] = f"{sample.retired_pages} pages"
    for bit, sign in _REASONS:
        if (sample.throttle or 0) & bit:
            signs[sign] = _heat(sample)
    if (sample.utilization or 0) < _UNDER_LOAD:
        untold.add(GpuSign.PCIE_DEGRADED)
    elif text := _narrow(sample):
        signs[GpuSign.PCIE_DEGRADED] = text
    return signs, frozenset(untold)


def _heat(sample: GpuSample) -> str:
    degrees = "" if sample.temperature_c is None else f"{sample.temperature_c} deg C"
    watts = "" if sample.power_mw is None else f"{sample.power_mw / 1000:.0f} W"
    return ", ".join(filter(None, [degrees, watts]))


def _narrow(sample: GpuSample) -> str:
    link = sample.pcie
    if link is None:
        return ""
    pairs = (("generation", link.generation, link.max_generation), ("width", link.width, link.max_width))
    return ", ".join(
        f"{name} {now} of {most}" for name, now, most in pairs if now is not None and most is not None and now < most
    )
