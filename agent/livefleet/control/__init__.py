"""The operator's side: applying the spec to hosts, and asking them how they are."""

from livefleet.control.apply import ApplyOptions, apply, find_checkout
from livefleet.control.commands import FleetRun, HostRun, run_on_hosts, words_of
from livefleet.control.diagnostics import (
    FleetDiagnostics,
    HostDiagnostics,
    fetch_diagnostics,
    operator_items,
    write_bundle,
)
from livefleet.control.drain import DrainOutcome, DrainRequest, FleetDrain, HostDrain, drain_fleet
from livefleet.control.events import Event, parse_event
from livefleet.control.examination import FleetExamination, HostExamination, examine_fleet
from livefleet.control.key_plan import KeyFacts, KeyOnChain, KeyPlan, KeySeat, Verdict, plan_keys
from livefleet.control.ledger import HostLedger, fetch_ledgers
from livefleet.control.logs import FleetLogs, LogLine, LogsRequest, fleet_logs, parse_line
from livefleet.control.plan import (
    ChainChange,
    ChainDuty,
    ChainPart,
    HostChain,
    HostPlan,
    KeyBalance,
    PlanDocument,
    PlanExit,
    load_plan,
    make_plan,
    save_plan,
)
from livefleet.control.plan_hardware import HardwareFinding
from livefleet.control.selection import Selection
from livefleet.control.session import Session
from livefleet.control.smoke import FleetSmoke, Smoke, SmokeJob, SmokeResult, SmokeStage, smoke_fleet
from livefleet.control.smoke_note import told_to_host
from livefleet.control.status import Condition, FleetStatus, HostStatus, NodeReport, fleet_status, host_status
from livefleet.control.summary import HostResult, Outcome, Summary, advice, summarize

__all__ = [
    "ApplyOptions",
    "ChainChange",
    "ChainDuty",
    "ChainPart",
    "Condition",
    "DrainOutcome",
    "DrainRequest",
    "Event",
    "FleetDiagnostics",
    "FleetDrain",
    "FleetExamination",
    "FleetLogs",
    "FleetRun",
    "FleetSmoke",
    "FleetStatus",
    "HardwareFinding",
    "HostChain",
    "HostDiagnostics",
    "HostDrain",
    "HostExamination",
    "HostLedger",
    "HostPlan",
    "HostResult",
    "HostRun",
    "HostStatus",
    "KeyBalance",
    "KeyFacts",
    "KeyOnChain",
    "KeyPlan",
    "KeySeat",
    "LogLine",
    "LogsRequest",
    "NodeReport",
    "Outcome",
    "PlanDocument",
    "PlanExit",
    "Selection",
    "Session",
    "Smoke",
    "SmokeJob",
    "SmokeResult",
    "SmokeStage",
    "Summary",
    "Verdict",
    "advice",
    "apply",
    "drain_fleet",
    "examine_fleet",
    "fetch_diagnostics",
    "fetch_ledgers",
    "find_checkout",
    "fleet_logs",
    "fleet_status",
    "host_status",
    "load_plan",
    "make_plan",
    "operator_items",
    "parse_event",
    "parse_line",
    "plan_keys",
    "run_on_hosts",
    "save_plan",
    "smoke_fleet",
    "summarize",
    "told_to_host",
    "words_of",
    "write_bundle",
]
