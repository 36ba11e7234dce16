"""Every alert, from its cause to a person and back: whole agents and the agent's own exporter, a real Prometheus that
reads them, a real Alertmanager that tells, the relay that signs, and a receiver.

What is waited for before an alert fires is a 600th of what operators get, and what is counted over minutes is counted
over seconds; the rules are the same otherwise.
"""

import asyncio
import inspect
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import pytest

from livefleet.health import AlertRelay
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.monitoring.monitoring_rules import FOREIGN
from livefleet.monitoring.notify import alertmanager_text
from livefleet.monitoring.promql import selectors
from livefleet.monitoring.rules import alert_rules, rules_text
from livefleet.monitoring.signature import check_signature
from livefleet.spec.alerts import AlertSettings
from livefleet.spec.notify import NotifySettings
from tests.builders.agents import RunningAgent, an_agent, free_port
from tests.builders.alerting import (
    Receiver,
    RunningPrometheus,
    a_prometheus,
    a_receiver,
    an_alertmanager,
    until,
)
from tests.builders.metrics import Scrape, the_table
from tests.builders.paid_nodes import a_paid_node
from tests.builders.patients import FLEET, Patient, patients
from tests.devchain.process import Process
from tests.nvml import stub

pytestmark = [pytest.mark.component, pytest.mark.timeout(240)]

PACE = 1 / 600
SHOWN = {"node", "orch", "chain", "redeems", "media", "gpu"}
AFTER_AN_EVENT = {"livepeer_payment_recv_errors", "livefleet_requests_refused_total"}
"""Not there before the first; tests/e2e/test_node_metrics.py sees them."""
SETTINGS = AlertSettings(fail_window=6, restart_window=10, no_work=8, rpc_lost=5, fail_count=3)
DUTIES = {"transcoding": {"encoder": "software"}, "redemption": {"check_every_s": 0.5}, "reward": {}}
BY_NAME = {rule.name: rule for rule in alert_rules(SETTINGS)}
HMAC = b"a secret of sixteen"
A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"
WHOLE, ON_CHAIN, SILENT, DOWN, MONITOR = "whole", "on-chain", "silent", "down", "monitor"
BY_AGENTS = {
    "GpuFault": WHOLE, "GpuHot": WHOLE, "DriverTrouble": WHOLE, "SpecNotTaken": WHOLE, "SpecDrift": WHOLE,
    "RpcLost": ON_CHAIN, "NodeDown": DOWN, "NodeSilent": SILENT, "NotificationsFail": MONITOR,
}  # fmt: skip


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
    """Reads what the receiver gets."""

    receiver: Receiver
    cases: dict[tuple[str, str], Case] = field(default_factory=dict)
    read: int = 0

    def look(self):
        """Take in what came since the last look."""
        told, self.read = self.receiver.told[self.read :], len(self.receiver.told)
        for request in told:
            if request.path != "/hook":
                continue
            at = time.time() - (time.monotonic() - request.at)
            check_signature(HMAC, request.headers, request.body, at)
            for alert in request.json["alerts"]:
                self._note(alert, at)

    def _note(self, alert, at):
        labels = alert["labels"]
        case = self.cases.setdefault((labels["alertname"], labels.get("node", "")), Case())
        if alert["status"] == "firing" and (not case.fire_told or case.clear_told):
            case.fired, case.fire_told, case.clear_told = instant(alert["startsAt"]), at, 0.0
        elif alert["status"] == "resolved" and not case.clear_told:
            case.cleared, case.clear_told = instant(alert["endsAt"]), at

    def is_told(self, alert, node):
        self.look()
        case = self.cases.get((alert, node))
        return case is not None and case.fire_told and not case.clear_told

    def is_cleared(self, alert, node):
        self.look()
        case = self.cases.get((alert, node))
        return case is not None and case.clear_told

    async def through(self, alert, node, sicken, heal):
        """One trouble from its beginning until its end is told."""
        came = time.time()
        await awaited(sicken())
        await until(f"{alert} of {node} is told", lambda: self.is_told(alert, node))
        went = time.time()
        await awaited(heal())
        await until(f"the end of {alert} of {node} is told", lambda: self.is_cleared(alert, node))
        self.cases[alert, node].came, self.cases[alert, node].went = came, went


async def awaited(outcome):
    if inspect.isawaitable(outcome):
        await outcome


def instant(text):
    return datetime.fromisoformat(text).timestamp()


def target(node, address, job="livefleet"):
    return {"targets": [address], "labels": {"job": job, "fleet": FLEET, "node": node, "role": "orchestrator"}}


@asynccontextmanager
async def a_whole_agent(folder):
    """An agent with two GPUs of the NVML stand-in; it and the stand-in's state."""
    library = stub.build(folder / "nvml")
    state = stub.NvmlState(folder / "nvml.state")
    for number, uuid in enumerate((A, B)):
        state.gpu(number, uuid, reasons=0)
    search = os.pathsep.join(filter(None, [str(library.parent), os.environ.get("LD_LIBRARY_PATH")]))
    with an_agent(
        folder / "node", start=False, env={"LD_LIBRARY_PATH": search, "LIVEFLEET_NVML_STATE": str(state.path)},
        role="orchestrator", network={"name": "offchain"}, duties={"transcoding": {"encoder": "software"}}, gpus=[A, B],
        gpu_health={"hold_s": 0}, monitoring={"sample_every_s": 0.3, "log_level": "INFO"},
    ) as agent:  # fmt: skip
        yield agent, state


def edit(agent, old, new):
    """Change node.yaml and tell the agent."""
    text = agent.node_yaml.read_text()
    assert old in text
    agent.node_yaml.write_text(text.replace(old, new))
    agent.process.send_signal(signal.SIGHUP)


def unplug(state):
    for key in [key for key in state.values if key.startswith("gpu1.")]:
        del state.values[key]
    state.write()


async def gpu_troubles(watch, state):
    await asyncio.gather(
        watch.through("GpuHot", WHOLE, lambda: state.gpu(0, A, temp=95), lambda: state.gpu(0, A)),
        watch.through("GpuFault", WHOLE, lambda: unplug(state), lambda: state.gpu(1, B)),
    )
    unloaded, loaded = {"init": 9, "epoch": 2}, {"init": 0, "epoch": 3}
    await watch.through("DriverTrouble", WHOLE, lambda: state.set(**unloaded), lambda: state.set(**loaded))


async def spec_troubles(watch, agent):
    live, restart = ("log_level: INFO", "log_level: DEBUG"), ("sample_every_s: 0.3", "sample_every_s: 0.4")
    for alert, (was, becomes) in {"SpecNotTaken": restart, "SpecDrift": live}.items():
        await watch.through(
            alert, WHOLE, lambda was=was, becomes=becomes: edit(agent, was, becomes),
            lambda was=was, becomes=becomes: edit(agent, becomes, was),
        )  # fmt: skip


@dataclass
class Scene:
    """All that is looked at, and how to trouble it."""

    receiver: Receiver
    ward: dict[str, Patient]
    agents: dict[str, RunningAgent]
    nvml: stub.NvmlState
    chain: Process
    prometheus: RunningPrometheus
    alertmanager: str
    pages: list[Scrape]  # what the agents showed while all was well
    hides: Callable[[], None]  # one target is read no more
    shows: Callable[[], None]

    def troubles(self, watch):
        """Every one as something to be awaited; those of one agent that explain each other are one after the other."""
        for alert, patient in self.ward.items():
            yield watch.through(alert, patient.name, patient.fall_ill, lambda one=patient: one.fall_ill(ill=False))
        yield gpu_troubles(watch, self.nvml)
        yield spec_troubles(watch, self.agents[WHOLE])
        yield watch.through("RpcLost", ON_CHAIN, lambda: self.stop(signal.SIGSTOP), lambda: self.stop(signal.SIGCONT))
        yield watch.through("NodeSilent", SILENT, self.hides, self.shows)
        victim = self.agents[DOWN]
        yield watch.through(
            "NodeDown", DOWN, lambda: asyncio.to_thread(victim.kill), lambda: asyncio.to_thread(victim.start)
        )
        refuses, answers = {"/refusing": 404}, self.receiver.answers
        yield watch.through("NotificationsFail", MONITOR, lambda: answers.update(refuses), answers.clear)

    def stop(self, number):
        """The chain's process stands still, or goes on."""
        os.kill(self.chain.pid, number)


@asynccontextmanager
async def a_scene(folder):
    """Everything up and well."""
    (folder / "hmac").write_bytes(HMAC)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        receiver = await enter(a_receiver())
        notify = settings_of(receiver)
        await enter(AlertRelay(notify, {"hmac": folder / "hmac"}, SystemClock(), ConditionBoard(SystemClock())))
        ward = patients()
        for patient in ward.values():
            await enter(patient.server())
        whole, nvml = await enter(a_whole_agent(folder / "whole"))
        victim = stack.enter_context(an_agent(folder / "down", start=False, role="orchestrator", gpus="none"))
        paid = await enter(a_paid_node(folder / "paid", start=False, duties=DUTIES))
        chain = Process.read(paid.chain_folder)
        stack.callback(os.kill, chain.pid, signal.SIGCONT)  # one that stands still cannot end
        agents = {WHOLE: whole, DOWN: victim, ON_CHAIN: paid.agent}
        await asyncio.gather(*(asyncio.to_thread(agent.start) for agent in agents.values()))
        await asyncio.to_thread(paid.agent.until_condition, "RewardCalled", "Called")
        alertmanager = await enter(an_alertmanager(folder / "am", alertmanager_text(notify)))
        targets = [
            *(target(patient.name, patient.admin.address) for patient in ward.values()),
            *(target(name, agent.admin) for name, agent in agents.items()),
            target(MONITOR, alertmanager, "alertmanager"),
        ]
        heard = [*targets, target(SILENT, ward["ConditionFalse"].admin.address)]  # a second way to its page
        declared = {WHOLE: whole.status()["digest"].removeprefix("sha256:")[:12], SILENT: ""}
        rules = rules_text(SETTINGS, declared, pace=PACE)
        prometheus = await enter(a_prometheus(folder / "prometheus", rules, heard, alertmanager=alertmanager))
        yield Scene(
            receiver, ward, agents, nvml, chain, prometheus, alertmanager,
            [Scrape.of(agent.get("/metrics")[1]) for agent in agents.values()],
            lambda: prometheus.read_from(targets), lambda: prometheus.read_from(heard),
        )  # fmt: skip


def settings_of(receiver):
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


async def test_every_alert__its_cause_comes_and_goes__is_told_and_taken_back(short_path, capsys):
    async with a_scene(short_path) as scene:
        watch = Watch(scene.receiver)
        await until("the heart beats", lambda: scene.receiver.at("/beat"))
        watch.look()
        before = dict(watch.cases)
        await asyncio.gather(*scene.troubles(watch))
        exported = await names_at(scene.prometheus.address, scene.alertmanager)

    assert {alert for alert, _ in before} <= {"NodeDown"}
    assert [fault for rule in BY_NAME.values() for fault in not_exported(rule, scene.pages)] == []
    assert exported >= FOREIGN - {"up"}
    with capsys.disabled():
        print(table(watch.cases))
    expected = {(alert, patient.name) for alert, patient in scene.ward.items()} | set(BY_AGENTS.items())
    assert {name for name, _ in expected} == BY_NAME.keys() - {"Watchdog"}
    strangers = {case for case in watch.cases.keys() - expected if case[1] not in (WHOLE, DOWN, ON_CHAIN, SILENT)}
    assert {case for case in strangers if not is_explained(*case, expected)} == set()


def not_exported(rule, pages):
    """What a rule asks of nodes like these agents, and none of them shows."""
    table = the_table()
    for selector in selectors(rule.expr):
        row = table.get(selector.metric)
        if row is None or not row.on & SHOWN or row.name in AFTER_AN_EVENT:
            continue
        labels = [set(found) for page in pages for found in page.labels(row.name)]
        if not any(selector.labels <= found for found in labels):
            yield f"{rule.name}: {row.name} with {sorted(selector.labels)}"


def is_explained(alert, node, expected):
    """What holds an alert back may come or go a moment later where nobody waits; a busy machine misses readings."""
    return alert == "NodeDown" or any((source, node) in expected for source in BY_NAME[alert].held_by)


async def names_at(*addresses):
    """What Prometheus and Alertmanager export of themselves."""
    async with httpx.AsyncClient() as client:
        pages = [(await client.get(f"http://{address}/metrics")).text for address in addresses]
    return {line.partition("{")[0].partition(" ")[0] for page in pages for line in page.splitlines()}


def table(cases):
    """How long each took, in seconds: until Prometheus found it, and until it was told."""
    lines = ["", f"{'alert':<20} {'fired':>6} {'told':>6} {'cleared':>8} {'told':>6}  (seconds)"]
    for (alert, _), case in sorted(cases.items()):
        if case.came:
            lines.append(
                f"{alert:<20} {case.fired - case.came:6.1f} {case.fire_told - case.came:6.1f} "
                f"{case.cleared - case.went:8.1f} {case.clear_told - case.went:6.1f}"
            )
    return "\n".join(lines)
