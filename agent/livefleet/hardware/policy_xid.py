"""What each error report (Xid) of the driver leads to: data, row by row.

Reports that an application's own fault explains (13, 31, 43, 69, 137) never take a GPU out of service by themselves: a
broken model would take one GPU after the other with it. Where the driver tells its own advice (`RECOVERY`, Xid 154),
that decides what a report with `Ends.RESET` asks for.
"""

from typing import Final

from livefleet.hardware.policy_rows import Ends, Facet, GpuState, RecoveryRow, Repeated, XidRow

__all__ = ["FOLLOW_CODE", "OTHER_XID", "RECOVERY", "RESET_IT", "XID_ROWS", "recovery_row", "xid_row"]

FOLLOW_CODE: Final = 154
"""Its text names what the driver wants done."""

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_MONTH: Final = 30 * _DAY

_WATCH, _DRAIN, _RESET = GpuState.WATCH, GpuState.DRAIN, GpuState.RESET
_UNSURE: Final = "; on GeForce and before Ampere not compared"
_CATALOGUE: Final = "NVIDIA's Xid catalogue; the action is this table's"

_CHECK: Final = "many within an hour: run NVIDIA's field diagnostic or `dcgmi diag -r 3` on this GPU"
_RMA: Final = "three times within 30 days: have the card replaced under warranty (RMA)"
RESET_IT: Final = (
    "reset it as root, with the agent stopped, since a reader of NVML counts as a user of the GPU: `systemctl stop"
    " livefleet; nvidia-smi --gpu-reset -i UUID; systemctl start livefleet`; else reboot the host"
)
"""What a person does whom the agent asks for a reset: it is not root, and does none itself."""

_MANY: Final = Repeated(5, _HOUR, _WATCH, _CHECK)
_OFTEN: Final = Repeated(3, _HOUR, _RESET, RESET_IT)
_WORN_OUT: Final = Repeated(3, _MONTH, GpuState.REPLACE, _RMA)


def _application(codes: tuple[int, ...], reason: str, meaning: str, advice: str) -> XidRow:
    return XidRow(codes, reason, meaning, Facet.APPLICATIONS, _WATCH, Ends.QUIET, advice, _MANY)


def _engine(codes: tuple[int, ...], reason: str, meaning: str, advice: str, source: str = _CATALOGUE) -> XidRow:
    return XidRow(codes, reason, meaning, Facet.ENGINES, _WATCH, Ends.QUIET, advice, _OFTEN, source)


def _fatal(
    codes: tuple[int, ...],
    reason: str,
    meaning: str,
    facet: Facet,
    *,
    repeated: Repeated | None = None,
    advice: str = RESET_IT,
    source: str = _CATALOGUE,
) -> XidRow:
    return XidRow(codes, reason, meaning, facet, _RESET, Ends.RESET, advice, repeated, source)


XID_ROWS: Final = (
    _application(
        (8,), "StoppedProcessing", "the GPU stopped processing: idle timeout", "the process is started anew by itself"
    ),
    _application(
        (13,),
        "EngineException",
        "graphics or compute engine exception, mostly an application's fault",
        "look at the application; many applications on one GPU: have the hardware checked",
    ),
    _application(
        (31,),
        "MemoryPageFault",
        "an application touched memory that is not its own",
        "look at the application; many applications on one GPU: have the hardware checked",
    ),
    _application(
        (32,), "PushBuffer", "invalid or corrupted push buffer", "if it comes again: look at the PCIe slot and riser"
    ),
    XidRow(
        (37, 38),
        "DriverFirmware",
        "driver firmware error (38: its watchdog)",
        Facet.FIRMWARE,
        _WATCH,
        Ends.QUIET,
        "one alone means nothing",
        _OFTEN,
    ),
    XidRow(
        (39, 40, 41, 70, 71, 72, 75, 76, 77, 85),
        "CopyEngine",
        "copy engine exception",
        Facet.ENGINES,
        _WATCH,
        Ends.QUIET,
        "the process is started anew by itself",
        Repeated(5, _HOUR, _WATCH, "many within an hour: ask NVIDIA's support, with `nvidia-bug-report.sh`"),
    ),
    _application(
        (43,), "ApplicationChannel", "an application's channel failed, the GPU is well", "look at the application"
    ),
    XidRow(
        (45,),
        "Cleanup",
        "cleanup after another report, a kill or a reset",
        Facet.APPLICATIONS,
        GpuState.HEALTHY,
        Ends.QUIET,
        "look at the report before it; alone it means nothing",
    ),
    _fatal((46,), "Halted", "the GPU stopped processing", Facet.ENGINES, repeated=_WORN_OUT),
    _fatal(
        (48,),
        "EccDoubleBit",
        "memory error of two bits, which ECC cannot correct",
        Facet.MEMORY,
        repeated=_WORN_OUT,
        advice=f"{RESET_IT}; 63 or 64 beside it says whether the row could be remapped",
    ),
    XidRow(
        (54,),
        "PowerNotConnected",
        "the board's auxiliary power is not connected",
        Facet.POWER,
        GpuState.REBOOT,
        Ends.REBOOT,
        "switch the host off and check the card's power cables",
    ),
    _engine((60,), "VideoProcessor", "video processor (SEC2) exception", "the process is started anew by itself"),
    _fatal(
        (61,),
        "MicroControllerBreakpoint",
        "internal micro-controller breakpoint",
        Facet.FIRMWARE,
        repeated=_WORN_OUT,
        source=_CATALOGUE + _UNSURE,
    ),
    _fatal((62,), "MicroControllerHalt", "internal micro-controller halt", Facet.FIRMWARE, repeated=_WORN_OUT),
    XidRow(
        (63,),
        "RowRemapRecorded",
        "a row of memory is to be remapped, or a page was retired",
        Facet.MEMORY,
        _WATCH,
        Ends.RESET,
        "it works; reset it when it is empty anyway, which completes the remapping",
    ),
    XidRow(
        (64,),
        "RowRemapFailed",
        "a row could not be remapped, or a page not be retired",
        Facet.MEMORY,
        GpuState.REPLACE,
        Ends.PERSON,
        "reset it and run NVIDIA's field diagnostic; if it fails, have the card replaced under warranty (RMA)",
    ),
    _engine(
        (68, 83, 84, 88, 89, 96, 97, 98), "VideoDecoder", "NVDEC exception", "the process is started anew by itself"
    ),
    _engine(
        (47, 65, 73, 142),
        "VideoEncoder",
        "NVENC exception",
        "the process is started anew by itself",
        _CATALOGUE + "; it calls the first three unused on data-centre GPUs: on cards with encoders not compared",
    ),
    _engine(
        (82, 99, 100, 101, 102, 103, 104, 105, 86, 139),
        "PictureEngine",
        "NVJPG or optical flow engine exception",
        "the process is started anew by itself",
    ),
    _application(
        (69,),
        "GraphicsClass",
        "graphics engine class error, mostly an application's fault",
        "look at the application; many applications on one GPU: have the hardware checked",
    ),
    _fatal(
        (74,), "NvLink", "NVLink error", Facet.LINK, advice=f"{RESET_IT}; if it comes again, check the NVLink bridge"
    ),
    XidRow(
        (79,),
        "FallenOffTheBus",
        "the GPU has fallen off the bus",
        Facet.ANSWERING,
        GpuState.REBOOT,
        Ends.RESET,
        "reboot the host; then look at power, riser and heat",
        _WORN_OUT,
    ),
    XidRow(
        (92,),
        "EccSingleBitRate",
        "many single-bit memory errors, all corrected",
        Facet.MEMORY,
        _WATCH,
        Ends.RESET,
        "run NVIDIA's field diagnostic or `dcgmi diag -r 3` when it is empty",
    ),
    XidRow(
        (94,),
        "EccContained",
        "uncorrectable memory error, contained to one application",
        Facet.MEMORY,
        _WATCH,
        Ends.RESET,
        "only that application died and is started anew; reset the GPU when it is empty anyway",
        Repeated(3, _DAY, _RESET, RESET_IT),
    ),
    _fatal(
        (95,),
        "EccUncontained",
        "uncorrectable memory error, not contained: whatever ran there may be wrong",
        Facet.MEMORY,
        repeated=_WORN_OUT,
    ),
    _fatal((109,), "ContextSwitchTimeout", "context switch timeout", Facet.ENGINES),
    _fatal(
        (110,),
        "SecurityFault",
        "security fault",
        Facet.FIRMWARE,
        advice="reset it; undo the host's last hardware change; then switch it off and on again",
    ),
    _fatal(
        (119, 120),
        "GspFirmware",
        "the GPU's system processor (GSP) does not answer or failed",
        Facet.FIRMWARE,
        advice=f"{RESET_IT}. On GeForce with the open modules: declare another `driver.branch`",
    ),
    XidRow(
        (121,),
        "ChipLink",
        "corrected errors on the link to the CPU (Grace)",
        Facet.LINK,
        GpuState.HEALTHY,
        Ends.QUIET,
        "reset it when it is empty anyway",
    ),
    _fatal((136,), "NvLinkTraining", "NVLink training failed", Facet.LINK),
    _application((137,), "NvLinkPrivilege", "an application accessed a peer illegally", "look at the application"),
    _fatal((140,), "EccUnrecovered", "unrecovered memory error", Facet.MEMORY, repeated=_WORN_OUT),
    XidRow(
        (141,),
        "FastPath",
        "CUDA fast-path error",
        Facet.APPLICATIONS,
        GpuState.HEALTHY,
        Ends.QUIET,
        "means nothing by itself",
    ),
    _fatal(
        (143,),
        "Initialisation",
        "the GPU could not be initialised",
        Facet.FIRMWARE,
        repeated=Repeated(2, _DAY, GpuState.REBOOT, "a reset did not help: reboot the host"),
    ),
    XidRow(
        (144, 145, 146, 147, 148, 149, 150),
        "NvLink5",
        "NVLink 5 error, of which many are harmless",
        Facet.LINK,
        _WATCH,
        Ends.RESET,
        "the driver's own advice decides",
    ),
    XidRow(
        (FOLLOW_CODE,),
        "RecoveryAction",
        "the driver's advice has changed",
        Facet.FIRMWARE,
        _WATCH,
        Ends.RESET,
        "do what the driver says",
    ),
    _fatal((156,), "ResourceRetired", "a memory resource was retired", Facet.MEMORY),
    XidRow(
        (157,),
        "ResourceRetirementFailed",
        "a memory resource could not be retired",
        Facet.MEMORY,
        _WATCH,
        Ends.PERSON,
        "it works; ask for a replacement under warranty (RMA), then `livefleet agent gpu clear`",
    ),
    _fatal((158,), "FatalTimeout", "fatal timeout of the GPU", Facet.ENGINES),
    _fatal(
        (167,), "PcieFatalTimeout", "fatal timeout on PCIe", Facet.LINK, source=_CATALOGUE + "; action not compared"
    ),
    _fatal(
        (169,),
        "VideoProcessorHalt",
        "video processor (SEC2) halt",
        Facet.ENGINES,
        source=_CATALOGUE + "; action not compared",
    ),
    XidRow(
        (171, 172),
        "EccDetail",
        "where a 48 was: DRAM or SRAM",
        Facet.MEMORY,
        GpuState.HEALTHY,
        Ends.QUIET,
        "see the 48 beside it",
    ),
)
"""In the order of the catalogue's meanings; each code once."""

OTHER_XID: Final = XidRow(
    (),
    "UnlistedXid",
    "a report that this table has no row for",
    Facet.FIRMWARE,
    _WATCH,
    Ends.QUIET,
    "look it up in NVIDIA's Xid catalogue; the driver's own advice is followed",
    source="this table's",
)
"""For every code without a row."""

_BY_CODE: Final = {code: row for row in XID_ROWS for code in row.codes}


def xid_row(code: int) -> XidRow:
    """The row of a report."""
    return _BY_CODE.get(code, OTHER_XID)


RECOVERY: Final = (
    RecoveryRow(0, "NothingToDo", "nothing is to be done", GpuState.HEALTHY, "nothing"),
    RecoveryRow(1, "ResetAdvised", "the driver asks for a reset of the GPU", _RESET, RESET_IT),
    RecoveryRow(2, "RebootAdvised", "the driver asks for a reboot", GpuState.REBOOT, "reboot the host"),
    RecoveryRow(
        3,
        "DrainPeers",
        "the driver asks to stop traffic between GPUs",
        _DRAIN,
        "it comes back when the driver asks no more; else reset it",
    ),
    RecoveryRow(4, "DrainAndReset", "the driver asks to empty and reset the GPU", _RESET, RESET_IT),
    RecoveryRow(
        5,
        "RecoverImex",
        "the driver asks to recover the IMEX domain",
        _WATCH,
        "restart the IMEX service of the NVLink domain",
    ),
    RecoveryRow(
        6,
        "BusResetAdvised",
        "the driver asks for a reset of the bus",
        _RESET,
        RESET_IT,
    ),
    RecoveryRow(7, "SystemRebootAdvised", "the driver asks for a reboot", GpuState.REBOOT, "reboot the host"),
)
"""Field 230 of NVML, `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`, which older drivers do not have."""

_UNKNOWN_ADVICE: Final = RecoveryRow(
    -1, "UnknownAdvice", "the driver gives advice that this table does not know", _WATCH, "see `nvidia-smi -q`"
)


def recovery_row(action: int) -> RecoveryRow:
    """The row of a piece of advice."""
    return next((row for row in RECOVERY if row.action == action), _UNKNOWN_ADVICE)
