"""What every room stands on; no third party is imported here."""

from livefleet.kernel.clock import Clock, SystemClock
from livefleet.kernel.condition import Condition, ConditionBoard, Status
from livefleet.kernel.errors import BadInput, ExitCode, LivefleetError, OutsideWorld, Refused, Terminal, Transient
from livefleet.kernel.executors import Blocking
from livefleet.kernel.intake import Intake
from livefleet.kernel.supervise import Backoff, run_duty
from livefleet.kernel.tally import OTHER, Histogram, Histograms, LastValues, Tally
from livefleet.kernel.units import (
    MAX_WIN_PROB,
    ZERO_ADDRESS,
    Address,
    BlockNumber,
    Pixels,
    Round,
    SessionId,
    Wei,
    WinProb,
    from_min_bytes,
    to_min_bytes,
    to_u256,
)

__all__ = [
    "MAX_WIN_PROB",
    "OTHER",
    "ZERO_ADDRESS",
    "Address",
    "Backoff",
    "BadInput",
    "BlockNumber",
    "Blocking",
    "Clock",
    "Condition",
    "ConditionBoard",
    "ExitCode",
    "Histogram",
    "Histograms",
    "Intake",
    "LastValues",
    "LivefleetError",
    "OutsideWorld",
    "Pixels",
    "Refused",
    "Round",
    "SessionId",
    "Status",
    "SystemClock",
    "Tally",
    "Terminal",
    "Transient",
    "Wei",
    "WinProb",
    "from_min_bytes",
    "run_duty",
    "to_min_bytes",
    "to_u256",
]
