"""What the tests that fire alerts share: a real Prometheus and Alertmanager over what they set up, the relay that
signs, a receiver, and who looks at what it gets.

What is waited for before an alert fires is a 600th of what operators get, and what is counted over minutes is counted
over seconds; the rules are the same otherwise.
"""

import inspect
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from livefleet.health import AlertRelay
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.monitoring.notify import alertmanager_text
from livefleet.monitoring.rules import alert_rules, rules_text
from livefleet.monitoring.signature import check_signature
from livefleet.spec.alerts import AlertSettings
from livefleet.spec.notify import NotifySettings
from tests.builders.agents import free_port
from tests.builders.alerting import (
    Receiver,
    RunningPrometheus,
    a_prometheus,
    a_receiver,
    an_alertmanager,
    until,
)

PACE = 1 / 600
SETTINGS = AlertSettings(fail_window=6, restart_window=30, no_work=8, rpc_lost=5, fail_count=3)
BY_NAME = {rule.name: rule for rule in alert_rules(SETTINGS)}
FLEET = "f"
HMAC = b"a secret of sixteen"

OF_A_CHAIN = frozenset({
    "RewardNearDeadline", "RewardMissed", "RewardCallsFail", "GasLow", "GasNearlyOut", "KeyBalanceLow",
    "TicketsExpiring", "TicketsLost", "WinnersStuck", "RedemptionsFail", "PaymentsRefused", "PaymentsNotWritten",
    "LedgerOff", "RpcEndpointAway", "SignerLost", "TransactionsStuck", "RedeemerClosed", "PriceStale",
    "ActiveSetDanger", "DecisionAwaited",
})  # fmt: skip
"""Alerts that tests/component/monitoring/test_alerts_of_a_chain.py fires and clears."""
OF_A_HOST = frozenset({
    "DiskLow", "DiskFull", "ClockOff", "ClockUnkept", "CertificateEnding", "CertificateInvalid", "ServiceUnreachable",
    "FrontDoorClosed", "TranscoderDown", "GpuWorn", "CapacityFull", "WorkTurnedAway", "SegmentsFail",
    "WorkerSegmentsFail", "NoWork", "WorkerApart", "AiRequestsFail", "ModelDown", "NodeNotReady", "AgentRestarting",
})  # fmt: skip
"""Alerts that tests/component/monitoring/test_alerts_of_a_host.py fires and clears."""

Does: TypeAlias = Callable[[], object]
"""Does something to a node; what is to be awaited is awaited."""
AlertAt: TypeAlias = tuple[str, str]
"""An alert and the node that it is about."""


@dataclass
class Case:
    """When the trouble came and went, and when that was found and told. Wall clock seconds."""

    came: float = 0.0
    went: float = 0.0
    fired: float = 0.0
    fire_told: float = 0.0
    cleared: float = 0.0
    clear_told: float = 0.0


@dataclass
class Watch:
    """Reads what the receiver gets. `cases` by alert and node."""

    receiver: Receiver
    cases: dict[AlertAt, Case] = field(default_factory=dict)
    read: int = 0
    _proofs: dict[AlertAt, Case] = field(default_factory=dict)

    def look(self) -> None:
        """Take in what came since the last look."""
        told, self.read = self.receiver.told[self.read :], len(self.receiver.told)
        for request in told:
            if request.path != "/hook":
                continue
            at = time.time() - (time.monotonic() - request.at)
            check_signature(HMAC, request.headers, request.body, at)
            for alert in request.json["alerts"]:
                self._note(alert, at)

    def _note(self, alert: dict[str, Any], at: float) -> None:
        labels = alert["labels"]
        case = self.cases.setdefault((labels["alertname"], labels.get("node", "")), Case())
        if alert["status"] == "firing" and (not case.fire_told or case.clear_told):
            case.fired, case.fire_told, case.clear_told = _instant(alert["startsAt"]), at, 0.0
        elif alert["status"] == "resolved" and not case.clear_told:
            case.cleared, case.clear_told = _instant(alert["endsAt"]), at

    def is_told(self, alert: str, node: str) -> bool:
        """Whether it is known to fire now."""
        self.look()
        case = self.cases.get((alert, node))
        return case is not None and bool(case.fire_told) and not case.clear_told

    def is_cleared(self, alert: str, node: str) -> bool:
        """Whether its end is known."""
        self.look()
        case = self.cases.get((alert, node))
        return case is not None and bool(case.clear_told)

    async def turns(self, *, by: Does, begins: Collection[AlertAt] = (), ends: Collection[AlertAt] = ()) -> None:
        """Something happens, until each of these alerts is told, or its end."""
        now = time.time()
        await _awaited(by())
        for alert, node in begins:
            await until(f"{alert} of {node} is told", lambda a=alert, n=node: self.is_told(a, n))
            self.cases[alert, node].came = now
        for alert, node in ends:
            await until(f"the end of {alert} of {node} is told", lambda a=alert, n=node: self.is_cleared(a, n))
            self.cases[alert, node].went = now
            self._proofs[alert, node] = replace(self.cases[alert, node])

    async def fires(self, node: str, *alerts: str, by: Does) -> None:
        """A trouble comes, and each of these alerts tells of it."""
        await self.turns(by=by, begins=[(alert, node) for alert in alerts])

    async def clears(self, node: str, *alerts: str, by: Does = lambda: None) -> None:
        """The trouble goes, by itself where nothing is to be done, and the end of each of these alerts is told."""
        await self.turns(by=by, ends=[(alert, node) for alert in alerts])

    async def through_all(self, alerts: Collection[str], node: str, sicken: Does, heal: Does) -> None:
        """One trouble that several alerts tell of, until the end of each is told."""
        await self.fires(node, *alerts, by=sicken)
        await self.clears(node, *alerts, by=heal)

    async def through(self, alert: str, node: str, sicken: Does, heal: Does) -> None:
        """One trouble from its beginning until its end is told."""
        await self.through_all([alert], node, sicken, heal)

    def proven(self) -> set[AlertAt]:
        """Alerts that went all the way, and at which node."""
        return set(self._proofs)

    def strangers(self, expected: Collection[AlertAt]) -> set[AlertAt]:
        """Alerts that nobody waited for, and that nothing explains."""
        return {case for case in self.cases.keys() - set(expected) if not _is_explained(*case, expected)}

    def table(self) -> str:
        """How long each took, in seconds: until Prometheus found it, and until it was told."""
        lines = ["", f"{'alert':<20} {'fired':>6} {'told':>6} {'cleared':>8} {'told':>6}  (seconds)"]
        for (alert, _), case in sorted(self._proofs.items()):
            lines.append(
                f"{alert:<20} {case.fired - case.came:6.1f} {case.fire_told - case.came:6.1f} "
                f"{case.cleared - case.went:8.1f} {case.clear_told - case.went:6.1f}"
            )
        return "\n".join(lines)


def _is_explained(alert: str, node: str, expected: Collection[AlertAt]) -> bool:
    """What holds an alert back may come or go a moment later where nobody waits; a busy machine misses readings."""
    return alert == "NodeDown" or any((source, node) in expected for source in BY_NAME[alert].held_by)


async def _awaited(outcome: object) -> None:
    if inspect.isawaitable(outcome):
        await outcome


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass
class Alerting:
    """Alertmanager, and the receiver to which it tells all. Prometheus is started by `reading`."""

    receiver: Receiver
    alertmanager: str
    folder: Path

    @asynccontextmanager
    async def reading(
        self, targets: Iterable[dict[str, Any]], declared: Mapping[str, str] | None = None
    ) -> AsyncIterator[RunningPrometheus]:
        """Prometheus with every rule, over these `target`s; `declared` as in rules_text."""
        rules = rules_text(SETTINGS, declared or {}, pace=PACE)
        async with a_prometheus(
            self.folder / "prometheus", rules, targets, alertmanager=self.alertmanager
        ) as prometheus:
            yield prometheus

    async def watch(self) -> Watch:
        """Who looks, once the heart beats: all that is told by then is among its cases."""
        await until("the heart beats", lambda: self.receiver.at("/beat"))
        watch = Watch(self.receiver)
        watch.look()
        return watch


@asynccontextmanager
async def alerting(folder: Path) -> AsyncIterator[Alerting]:
    """The whole way from Alertmanager to a person; `folder` exists."""
    (folder / "hmac").write_bytes(HMAC)
    async with a_receiver() as receiver:
        notify = _settings(receiver)
        relay = AlertRelay(notify, {"hmac": folder / "hmac"}, SystemClock(), ConditionBoard(SystemClock()))
        async with relay, an_alertmanager(folder / "am", alertmanager_text(notify)) as address:
            yield Alerting(receiver, address, folder)


def target(node: str, address: str, job: str = "livefleet", role: str = "orchestrator") -> dict[str, Any]:
    """What Prometheus is to read, as file_sd has it."""
    return {"targets": [address], "labels": {"job": job, "fleet": FLEET, "node": node, "role": role}}


def _settings(receiver: Receiver) -> NotifySettings:
    """Two ways to people, one of which may refuse."""
    base = f"http://{receiver.address}"
    return NotifySettings.model_validate(
        {
            "receivers": [
                {"kind": "webhook", "url": f"{base}/hook", "secret": "hmac"},
                {"kind": "webhook", "name": "refusing", "url": f"{base}/refusing"},
            ],
            "heartbeat": {"url": f"{base}/beat", "every": "2s"},
            "wait": 0.1,
            "every": 1,
            "relay_listen": f"127.0.0.1:{free_port()}",
        }
    )
