"""Nodes that fall ill on demand: the agent's own collectors and admin endpoint over state that a test holds.

For trouble that no real agent gets within seconds (a certificate near its end, a missed reward). Each stands for one
alert, and exports what a node does whose services say so.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from livefleet.chain import ChainHead, EndpointHealth, EndpointState, GasBalance
from livefleet.health import AdminServer, HostCollector, NodeCollector, NodeStatus, Reading, ReadingCollector
from livefleet.health.host import DiskRoom
from livefleet.kernel import Address, BlockNumber, Condition, Histogram, Refused, Round, Status, Tally, Wei
from livefleet.payments import PaymentCounters, PaymentsSnapshot, Rate, TicketCount
from livefleet.payments.errors import BadPayment
from livefleet.payments.price_keeper import rate_condition
from livefleet.payments.price_rate import RateLimits, Verdict
from livefleet.payments.redemption_report import Expiring, RedemptionReport
from livefleet.reconcile.resources.gas_balance import GasBalanceResource
from livefleet.roles.chain_link import payments_condition
from livefleet.roles.chain_report import own_chain_readings
from livefleet.roles.own_metrics import (
    own_gas_readings,
    own_reward_readings,
    own_server_readings,
    own_store_readings,
    own_worker_readings,
)
from livefleet.roles.redemption_report import redemption_state_readings
from livefleet.roles.reference_metrics import payment_readings, redemption_readings, reward_readings, server_readings
from livefleet.spec import GasSettings
from livefleet.wire.server.counters import Counters, ServerSnapshot
from livefleet.wire.worker import WorkerSnapshot

DAY_S = 86_400.0
FLEET = "f"
OWNER = {"node_id": "host", "node_type": "orch"}


@dataclass
class Patient:
    """One node. `seconds` grows while it is ill, `well_seconds` while it is not: what counters count."""

    name: str
    readings: Callable[["Patient"], Iterable[Reading]] = lambda _: ()
    conditions: Callable[["Patient"], Iterable[Condition]] = lambda _: ()
    status: Callable[["Patient"], Mapping[str, Any]] = lambda _: {}
    host: Callable[["Patient"], Mapping[str, Any]] = lambda _: {}
    is_ill: bool = False
    admin: AdminServer | None = None
    _changed: float = field(default_factory=time.monotonic)
    _ill_s: float = 0.0
    _well_s: float = 0.0

    @property
    def ill_s(self) -> float:
        """Seconds of illness so far."""
        return self._ill_s + (time.monotonic() - self._changed) * self.is_ill

    @property
    def well_s(self) -> float:
        """Seconds of health so far."""
        return self._well_s + (time.monotonic() - self._changed) * (not self.is_ill)

    def fall_ill(self, *, ill: bool = True) -> None:
        """From now on; or recover."""
        self._ill_s, self._well_s, self._changed = self.ill_s, self.well_s, time.monotonic()
        self.is_ill = ill

    def server(self) -> AdminServer:
        """Its admin endpoint, to be entered."""
        registry = CollectorRegistry()
        registry.register(NodeCollector(self._status))
        registry.register(ReadingCollector(lambda: list(self.readings(self)), OWNER))
        registry.register(_Host(self))
        self.admin = AdminServer("127.0.0.1:0", self._status, registry)
        return self.admin

    def _status(self) -> NodeStatus:
        conditions = tuple(self.conditions(self))
        values: dict[str, Any] = {
            "version": "1", "fleet": FLEET, "name": self.name, "role": "orchestrator", "network": "offchain",
            "digest": "sha256:" + "d" * 64, "release": "checkout", "started_at": 1.0, "ready": True, "blocking": (),
            "conditions": conditions, "parts": {},
        }  # fmt: skip
        return NodeStatus(**values | self.status(self))


class _Host(HostCollector):
    """Reads the host as the patient says it is."""

    def __init__(self, patient: Patient) -> None:
        super().__init__(Path("/"), time.time)
        self._patient = patient

    def collect(self) -> Any:
        values: dict[str, Any] = {"now": time.time, "is_kept": lambda: True, "disk": lambda _: DiskRoom(50, 100)}
        values |= self._patient.host(self._patient)
        return HostCollector(Path("/"), **values).collect()


def condition(name: str, reason: str, subject: str = "") -> Callable[[Patient], list[Condition]]:
    """A condition that is false while the patient is ill."""

    def read(patient: Patient) -> list[Condition]:
        if patient.is_ill:
            return [Condition(name, Status.FALSE, reason, "", subject)]
        return [Condition(name, Status.TRUE, "Well", "", subject)]

    return read


def gauge(name: str, well: float, ill: float, **labels: str) -> Callable[[Patient], list[Reading]]:
    """A plain gauge, where the agent's own function needs a whole service."""
    return lambda patient: [(name, "gauge", "", labels, ill if patient.is_ill else well)]


def counter(name: str, **labels: str) -> Callable[[Patient], list[Reading]]:
    """A counter that grows by five a second of illness."""
    return lambda patient: [(name, "counter", "", labels, int(patient.ill_s * 5))]


def _server(**well_and_ill: Callable[[Patient], Any]) -> Callable[[Patient], list[Reading]]:
    def read(patient: Patient) -> list[Reading]:
        snapshot = _snapshot(patient, **{name: value(patient) for name, value in well_and_ill.items()})
        counters = Counters()
        return [*own_server_readings(snapshot, counters), *server_readings(snapshot, counters, per_stream=False)]

    return read


def _snapshot(patient: Patient, **fields: Any) -> ServerSnapshot:
    values: dict[str, Any] = dict.fromkeys(ServerSnapshot.__dataclass_fields__, 0)
    values |= {"workers": (), "ai_workers": (), "last_durations_s": (), "suspensions": ()}
    values |= {"front_door_open": True, "certificate_days": 80.0, "max_sessions": 10}
    values |= {"segments_ok": int((patient.ill_s + patient.well_s) * 5)}
    return ServerSnapshot(**values | fields)


def _turned_away(patient: Patient) -> list[Reading]:
    counters = Counters()
    counters.refuse("segment", Refused("OrchestratorCapped"))
    counters.refused.add("segment", "OrchestratorCapped", by=int(patient.ill_s * 5))
    return own_server_readings(_snapshot(patient), counters)


def _worker(patient: Patient) -> list[Reading]:
    fields: dict[str, Any] = dict.fromkeys(WorkerSnapshot.__dataclass_fields__, 0)
    done = int((patient.ill_s + patient.well_s) * 5)
    fields |= {"done": done, "failed": int(patient.ill_s * 5), "joined": True}
    return own_worker_readings(WorkerSnapshot(**fields), Histogram([1.0]))


def _balance(patient: Patient, *, ill_s: float, wei: int = 10**18) -> GasBalance:
    balance = Wei(1 if patient.is_ill else wei)
    return GasBalance("hot", Address("0x" + "1" * 40), balance, Wei(1), ill_s if patient.is_ill else 30 * DAY_S)


def _head() -> ChainHead:
    return ChainHead(
        BlockNumber(100), Round(5), Round(5), b"\1" * 32, b"\1" * 32, 10, Wei(1), time.time(),
        round_start_block=BlockNumber(50), round_length=100,
    )  # fmt: skip


def _watcher(patient: Patient, *, resting: bool = False) -> Any:
    state = EndpointState.RESTING if resting and patient.is_ill else EndpointState.HEALTHY
    endpoint = EndpointHealth("http://a", 1, 0, resting=state is EndpointState.RESTING, state=state)
    return SimpleNamespace(
        head=_head, last_look=lambda: SimpleNamespace(age_s=1.0), looks=1, reorganisations=0, endpoints=(endpoint,)
    )


def _reward(patient: Patient) -> list[Reading]:
    observed = SimpleNamespace(is_owed=True, last_reward_round=4, missed=())
    left_s = 600.0 if patient.is_ill else 60_000.0
    planned = SimpleNamespace(stage=SimpleNamespace(left_s=left_s))
    duty: Any = SimpleNamespace(calls=0, observed=observed, planned=planned)
    return [*own_reward_readings(duty), *own_chain_readings(_watcher(patient))]


def _expiring(patient: Patient) -> list[Reading]:
    report = RedemptionReport(expiring=Expiring(count=2 * patient.is_ill))
    nothing = Tally()
    losses = SimpleNamespace(count=nothing, value=nothing, short=nothing)
    redeemer: Any = SimpleNamespace(last=report, losses=losses, gas=SimpleNamespace(last_single=None, last_batch=None))
    return redemption_state_readings(redeemer, l1_block_s=12.0)


def _failing_redemptions(patient: Patient) -> list[Reading]:
    redeemer: Any = SimpleNamespace(errors=SimpleNamespace(total=int(patient.ill_s * 5)))
    return redemption_readings(TicketCount(), redeemer, per_stream=False)


def _refused_payments(patient: Patient) -> list[Reading]:
    counters = PaymentCounters()
    for _ in range(1 + int(patient.ill_s * 5)):
        counters.refuse("0x1", BadPayment("no", kind="Some"))
    none = TicketCount()
    received = TicketCount(int((patient.well_s + patient.ill_s) * 5), Fraction(1))
    snapshot = PaymentsSnapshot(
        on_chain=True, recipient="0x1", price=Fraction(1), received=received, won=none, pending=none, redeemed=none,
        lost=none, paid=Wei(0), refused={}, balances=0, senders=(), credit=Fraction(0), store_fault="",
    )  # fmt: skip
    return payment_readings(snapshot, counters, per_stream=False)


def _store(patient: Patient) -> list[Reading]:
    health: Any = SimpleNamespace(commits_s=Histogram([1.0]), waiting=0, fault="disk full" if patient.is_ill else "")
    return own_store_readings(health)


def _old_rate(patient: Patient) -> list[Condition]:
    rate = Rate(Fraction(1), 0.0 if patient.is_ill else time.time(), "0x1")
    return [rate_condition(Verdict(rate), time.time(), RateLimits())]


def _low_balance(patient: Patient) -> list[Condition]:
    resource = GasBalanceResource(SimpleNamespace(), GasSettings())  # type: ignore[arg-type]
    return list(resource.plan((_balance(patient, ill_s=30 * DAY_S),)).conditions)


def _ill(patient: Patient, ill: Any, well: Any) -> Any:
    return ill if patient.is_ill else well


def patients() -> dict[str, Patient]:
    """One for each alert that a whole agent does not get within seconds, by the alert's name."""
    made = {
        "NodeNotReady": {"status": lambda p: {"ready": not p.is_ill}},
        "AgentRestarting": {"status": lambda p: {"started_at": 1.0 + int(p.ill_s)}},
        "DiskLow": {"host": lambda p: {"disk": lambda _: DiskRoom(_ill(p, 8, 50), 100)}},
        "DiskFull": {"host": lambda p: {"disk": lambda _: DiskRoom(_ill(p, 1, 50), 100)}},
        "ClockOff": {"host": lambda p: {"now": lambda: time.time() + _ill(p, 90, 0)}},
        "ClockUnkept": {"host": lambda p: {"is_kept": lambda: not p.is_ill}},
        "GpuWorn": {"conditions": condition("GpuLinkSound", "Narrow", "GPU-1")},
        "FrontDoorClosed": {"readings": _server(front_door_open=lambda p: not p.is_ill)},
        "ServiceUnreachable": {"conditions": condition("ServiceReachable", "Unreachable")},
        "CertificateEnding": {"readings": _server(certificate_days=lambda p: _ill(p, 3.0, 80.0))},
        "CertificateInvalid": {"conditions": condition("CertificateValid", "Expired")},
        "WorkerApart": {"conditions": condition("JoinedOrchestrator", "Failed")},
        "TranscoderDown": {"conditions": condition("TranscoderReady", "Restarting", "GPU-1")},
        "ModelDown": {"conditions": condition("ModelWarm", "Lost", "a/b")},
        "SegmentsFail": {"readings": _server(segments_failed=lambda p: int(p.ill_s * 5))},
        "WorkerSegmentsFail": {"readings": _worker},
        "AiRequestsFail": {
            "readings": _server(
                images_ok=lambda p: int((p.ill_s + p.well_s) * 5), images_failed=lambda p: int(p.ill_s * 5)
            )
        },
        "CapacityFull": {"readings": _server(sessions=lambda p: _ill(p, 10, 3))},
        "WorkTurnedAway": {"readings": _turned_away},
        "NoWork": {"readings": _server(segments_ok=lambda p: int(p.well_s * 5))},
        "RewardNearDeadline": {"readings": _reward},
        "RewardMissed": {"conditions": condition("RewardsComplete", "RoundsMissed")},
        "RewardCallsFail": {"readings": lambda p: reward_readings(int(p.ill_s * 5))},
        "GasLow": {"readings": lambda p: own_gas_readings([_balance(p, ill_s=3 * DAY_S)], 0)},
        "GasNearlyOut": {"readings": lambda p: own_gas_readings([_balance(p, ill_s=3600)], 0)},
        "KeyBalanceLow": {"conditions": _low_balance},
        "TicketsExpiring": {"readings": _expiring},
        "TicketsLost": {"conditions": condition("TicketsRedeemed", "Lost")},
        "WinnersStuck": {"conditions": condition("TicketsRedeemed", "NotHandedOver")},
        "RedemptionsFail": {"readings": _failing_redemptions},
        "PaymentsRefused": {"readings": _refused_payments},
        "PaymentsNotWritten": {
            "readings": _store, "conditions": lambda p: [payments_condition(_ill(p, "disk full", ""))],
        },
        "LedgerOff": {"conditions": condition("LedgerBalanced", "Differs")},
        "RpcEndpointAway": {"readings": lambda p: own_chain_readings(_watcher(p, resting=True))},
        "SignerLost": {"conditions": condition("SignerReachable", "NotReached", "own")},
        "TransactionsStuck": {"conditions": condition("TransactionsMove", "Stuck", "0x1")},
        "RedeemerClosed": {"conditions": condition("RedeemerOpen", "NotServing")},
        "PriceStale": {"conditions": _old_rate},
        "ActiveSetDanger": {"conditions": condition("ActiveSet", "NotInPool")},
        "DecisionAwaited": {"conditions": condition("VotesOpen", "NotVoted")},
        "ConditionFalse": {"conditions": condition("ObjectStoreWritable", "NotWritable")},
        "AlertsNotSent": {"readings": counter("prometheus_notifications_dropped_total")},
        "RulesFail": {"readings": counter("prometheus_rule_evaluation_failures_total", rule_group="g")},
    }  # fmt: skip
    return {alert: Patient(alert.lower(), **parts) for alert, parts in made.items()}
