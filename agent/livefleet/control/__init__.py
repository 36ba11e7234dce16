"""The operator's side: applying the spec to hosts, and asking them how they are."""

from livefleet.control.apply import ApplyOptions, apply, find_checkout
from livefleet.control.drain import DrainOutcome, DrainRequest, FleetDrain, HostDrain, drain_fleet
from livefleet.control.events import Event, parse_event
from livefleet.control.key_plan import KeyFacts, KeyOnChain, KeyPlan, KeySeat, Verdict, plan_keys
from livefleet.control.ledger import HostLedger, fetch_ledgers
from livefleet.control.status import Condition, FleetStatus, HostStatus, NodeReport, fleet_status
from livefleet.control.summary import HostResult, Outcome, Summary, advice, summarize

__all__ = [
    "ApplyOptions",
    "Condition",
    "DrainOutcome",
    "DrainRequest",
    "Event",
    "FleetDrain",
    "FleetStatus",
    "HostDrain",
    "HostLedger",
    "HostResult",
    "HostStatus",
    "KeyFacts",
    "KeyOnChain",
    "KeyPlan",
    "KeySeat",
    "NodeReport",
    "Outcome",
    "Summary",
    "Verdict",
    "advice",
    "apply",
    "drain_fleet",
    "fetch_ledgers",
    "find_checkout",
    "fleet_status",
    "parse_event",
    "plan_keys",
    "summarize",
]
