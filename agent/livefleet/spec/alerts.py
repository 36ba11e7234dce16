"""When central monitoring raises an alert: thresholds, which the monitor's rules are written with."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from livefleet.spec.duration import parse_duration
from livefleet.spec.model import SpecModel
from livefleet.spec.problem import did_you_mean

__all__ = ["ALERTS", "AlertName", "AlertSettings", "Span"]

_DAY_S: Final = 86_400.0
_DAYS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)d(?=\Z|[0-9.]+[hms])")


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _DAYS.match(value)
    if found is None:
        return parse_duration(value)
    rest = value[found.end() :]
    return float(found[1]) * _DAY_S + (parse_duration(rest) if rest else 0.0)


Span = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=float | str), Field(gt=0, allow_inf_nan=False)]
"""Seconds, also written as `90s`, `10m`, `1h30m` or `7d`."""

ALERTS: Final = (
    "NodeDown", "NodeSilent", "NodeNotReady", "AgentRestarting", "SpecDrift", "SpecNotTaken", "DiskLow", "DiskFull",
    "ClockOff", "ClockUnkept", "DriverTrouble", "GpuFault", "GpuWorn", "GpuHot", "FrontDoorClosed",
    "ServiceUnreachable", "CertificateEnding", "CertificateInvalid", "WorkerApart", "TranscoderDown", "ModelDown",
    "SegmentsFail", "WorkerSegmentsFail", "AiRequestsFail", "CapacityFull", "WorkTurnedAway", "NoWork",
    "RewardNearDeadline", "RewardMissed", "RewardCallsFail", "GasLow", "GasNearlyOut", "KeyBalanceLow",
    "TicketsExpiring", "TicketsLost", "WinnersStuck", "RedemptionsFail", "PaymentsRefused", "PaymentsNotWritten",
    "LedgerOff", "RpcLost", "RpcEndpointAway", "SignerLost", "TransactionsStuck", "RedeemerClosed", "PriceStale",
    "ActiveSetDanger", "DecisionAwaited", "Watchdog", "NotificationsFail", "AlertsNotSent", "RulesFail",
    "ConditionFalse",
)  # fmt: skip
"""All alerts, in the runbook's order; monitoring/RUNBOOK.md tells of each."""


def _alert(name: str) -> str:
    if name not in ALERTS:
        raise ValueError(f"there is no alert `{name}`; {did_you_mean(name, ALERTS)}")
    return name


AlertName = Annotated[str, AfterValidator(_alert)]
"""Name of an alert, as `NodeDown`."""

Ratio = Annotated[float, Field(gt=0, le=1)]


class AlertSettings(SpecModel):
    """From when on something is told to people. monitoring/RUNBOOK.md says what each alert means."""

    off: tuple[AlertName, ...] = ()
    """Names of alerts that are left out."""

    runbook_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Where RUNBOOK.md can be read by whoever gets an alert; its sections are linked by `#` and the alert's name in
    small letters. None: the alerts name the file and the section, and tell the advice themselves."""

    down_after: Span = 120.0
    """How long a node may not answer before `NodeDown`."""

    gas_runway: Span = 7 * _DAY_S
    """How long a key's ETH has to last at the last week's spending before `GasLow`."""

    gas_runway_critical: Span = _DAY_S
    """The same before `GasNearlyOut`, which wakes people."""

    reward_deadline: Span = 3 * 3600.0
    """Time left of the round at which a reward that is still owed becomes `RewardNearDeadline`. A round of
    arbitrum-one lasts about 19 hours."""

    rpc_lost: Span = 180.0
    """How long the chain may not be seen before `RpcLost`. Nodes look once a minute when nothing happens."""

    certificate_days: float = Field(default=14.0, gt=0)
    """Days that the front door's certificate has to last; programs that renew do so 30 days before its end."""

    restart_window: Span = 1800.0
    """Time in which three new starts of an agent are too many."""

    fail_rate: Ratio = 0.05
    """Share of segments that may fail."""

    ai_fail_rate: Ratio = 0.1
    """Share of AI requests that may fail."""

    payment_fail_rate: Ratio = 0.2
    """Share of payments that may be refused."""

    fail_window: Span = 600.0
    """Time over which these shares are taken."""

    fail_count: float = Field(default=5.0, gt=0)
    """Failures in that time below which nothing is said."""

    capacity: Ratio = 0.9
    """Share of the session limit from which on a node counts as full."""

    no_work: Span = 6 * 3600.0
    """How long a healthy orchestrator may go without any work done before `NoWork`."""

    gpu_temperature_c: float = Field(default=88.0, gt=0)
    """Degrees Celsius of a GPU's core from which on it is too hot."""

    disk_free: Ratio = 0.1
    """Share of the state's disk that has to be free before `DiskLow`."""

    disk_free_critical: Ratio = 0.03
    """The same before `DiskFull`: payments that cannot be written are refused."""

    clock_offset_s: float = Field(default=5.0, gt=0)
    """Seconds that a node's clock may differ from the monitor's."""

    drift_after: Span = 1800.0
    """How long a node may run something else than what is declared before `SpecDrift`."""

    @model_validator(mode="after")
    def _worse_is_later(self) -> Self:
        if self.gas_runway_critical >= self.gas_runway:
            raise ValueError("`gas_runway_critical` has to be shorter than `gas_runway`: it is the last warning")
        if self.disk_free_critical >= self.disk_free:
            raise ValueError("`disk_free_critical` has to be less than `disk_free`: it is the last warning")
        return self
