"""Nodes that fall ill on demand: the agent's own collectors and admin endpoint over state that a test holds.

For what no whole agent is driven into: another program's own trouble, and a condition that no alert of its own speaks
for. Each stands for one alert.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from livefleet.health import AdminServer, NodeCollector, NodeStatus, Reading, ReadingCollector
from livefleet.kernel import Condition, Status
from tests.builders.alert_watch import FLEET

OWNER = {"node_id": "host", "node_type": "orch"}


@dataclass
class Patient:
    """One node. `ill_s` grows while it is ill: what counters count."""

    name: str
    readings: Callable[["Patient"], Iterable[Reading]] = lambda _: ()
    conditions: Callable[["Patient"], Iterable[Condition]] = lambda _: ()
    is_ill: bool = False
    admin: AdminServer | None = None
    _changed: float = field(default_factory=time.monotonic)
    _ill_s: float = 0.0

    @property
    def ill_s(self) -> float:
        """Seconds of illness so far."""
        return self._ill_s + (time.monotonic() - self._changed) * self.is_ill

    def fall_ill(self, *, ill: bool = True) -> None:
        """From now on; or recover."""
        self._ill_s, self._changed = self.ill_s, time.monotonic()
        self.is_ill = ill

    def server(self) -> AdminServer:
        """Its admin endpoint, to be entered."""
        registry = CollectorRegistry()
        registry.register(NodeCollector(self._status))
        registry.register(ReadingCollector(lambda: list(self.readings(self)), OWNER))
        self.admin = AdminServer("127.0.0.1:0", self._status, registry)
        return self.admin

    def _status(self) -> NodeStatus:
        conditions = tuple(self.conditions(self))
        values: dict[str, Any] = {
            "version": "1", "fleet": FLEET, "name": self.name, "role": "orchestrator", "network": "offchain",
            "digest": "sha256:" + "d" * 64, "release": "checkout", "started_at": 1.0, "ready": True, "blocking": (),
            "conditions": conditions, "parts": {},
        }  # fmt: skip
        return NodeStatus(**values)


def condition(name: str, reason: str, subject: str = "") -> Callable[[Patient], list[Condition]]:
    """A condition that is false while the patient is ill."""

    def read(patient: Patient) -> list[Condition]:
        if patient.is_ill:
            return [Condition(name, Status.FALSE, reason, "", subject)]
        return [Condition(name, Status.TRUE, "Well", "", subject)]

    return read


def counter(name: str, **labels: str) -> Callable[[Patient], list[Reading]]:
    """A counter that grows by five a second of illness."""
    return lambda patient: [(name, "counter", "", labels, int(patient.ill_s * 5))]


def patients() -> dict[str, Patient]:
    """One for each alert that no whole agent is driven into, by the alert's name."""
    made = {
        "ConditionFalse": {"conditions": condition("ObjectStoreWritable", "NotWritable")},
        "AlertsNotSent": {"readings": counter("prometheus_notifications_dropped_total")},
        "RulesFail": {"readings": counter("prometheus_rule_evaluation_failures_total", rule_group="g")},
    }  # fmt: skip
    return {alert: Patient(alert.lower(), **parts) for alert, parts in made.items()}
