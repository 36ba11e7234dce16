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
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import pytest

from livefleet.health import AlertRelay
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.monitoring.monitoring_rules import FOREIGN
from livefleet.monitoring.notify import alertmanager_text
from livefleet.monitoring.rules import alert_rules, rules_text
from livefleet.monitoring.signature import check_signature
from livefleet.spec.alerts import AlertSettings
from livefleet.spec.notify import NotifySettings
from tests.builders.agents import an_agent, free_port
from tests.builders.alerting import Receiver, a_prometheus, a_receiver, an_alertmanager, needs_both, until
from tests.builders.paid_nodes import a_paid_node
from tests.builders.patients import FLEET, patients
from tests.devchain.process import Process
from tests.nvml import stub

pytestmark = [pytest.mark.component, pytest.mark.timeout(240), needs_both]

PACE = 1 / 600
SETTINGS = AlertSettings(fail_window=6, restart_window=10, no_work=8, rpc_lost=5, fail_count=3)
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
        state.gpu(number, uuid)
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


async def illness(watch, alert, patient):
    await watch.through(alert, patient.name, patient.fall_ill, lambda: patient.fall_ill(ill=False))


async def test_every_alert__its_cause_comes_and_goes__is_told_and_taken_back(tmp_path, capsys):
    (tmp_path / "hmac").write_bytes(HMAC)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(a_receiver())
        notify = NotifySettings.model_validate(
            {
                "receivers": [
                    {"kind": "webhook", "url": f"http://{receiver.address}/hook", "secret": "hmac"},
                    {"kind": "webhook", "name": "refusing", "url": f"http://{receiver.address}/refusing"},
                ],
                "heartbeat": {"url": f"http://{receiver.address}/beat", "every": "2s"},
                "wait": 0.1, "every": 1, "relay_listen": f"127.0.0.1:{free_port()}",
            }
        )  # fmt: skip
        relay = AlertRelay(notify, {"hmac": tmp_path / "hmac"}, SystemClock(), ConditionBoard(SystemClock()))
        await stack.enter_async_context(relay)
        ward = patients()
        for patient in ward.values():
            await stack.enter_async_context(patient.server())
        silent = ward["ConditionFalse"]  # a second way to its page
        agent, state = await stack.enter_async_context(a_whole_agent(tmp_path / "whole"))
        victim = stack.enter_context(an_agent(tmp_path / "down", start=False, role="orchestrator", gpus="none"))
        paid = await stack.enter_async_context(a_paid_node(tmp_path / "paid", start=False))
        chain = Process.read(paid.chain_folder)
        agents = (agent, victim, paid.agent)
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in agents))
        alertmanager = await stack.enter_async_context(an_alertmanager(tmp_path / "am", alertmanager_text(notify)))
        targets = [
            *(target(patient.name, patient.admin.address) for patient in ward.values()),
            *(target(name, each.admin) for name, each in zip((WHOLE, DOWN, ON_CHAIN), agents, strict=True)),
            target(MONITOR, alertmanager, "alertmanager"),
        ]  # fmt: skip
        declared = {WHOLE: agent.status()["digest"].removeprefix("sha256:")[:12], SILENT: ""}
        rules = rules_text(SETTINGS, declared, pace=PACE)
        heard = [*targets, target(SILENT, silent.admin.address)]
        prometheus = await stack.enter_async_context(
            a_prometheus(tmp_path / "prometheus", rules, heard, alertmanager=alertmanager)
        )
        watch = Watch(receiver)
        await until("the heart beats", lambda: receiver.at("/beat"))
        watch.look()
        before = dict(watch.cases)
        receiver.answers["/refusing"] = 404
        await asyncio.gather(
            *(illness(watch, alert, patient) for alert, patient in ward.items()),
            gpu_troubles(watch, state),
            spec_troubles(watch, agent),
            watch.through(
                "RpcLost", ON_CHAIN, lambda: os.kill(chain.pid, signal.SIGSTOP),
                lambda: os.kill(chain.pid, signal.SIGCONT),
            ),
            watch.through(
                "NodeDown", DOWN, lambda: asyncio.to_thread(victim.kill), lambda: asyncio.to_thread(victim.start)
            ),
            watch.through(
                "NodeSilent", SILENT, lambda: prometheus.read_from(targets), lambda: prometheus.read_from(heard)
            ),
            watch.through(
                "NotificationsFail", MONITOR, lambda: None, lambda: receiver.answers.pop("/refusing"),
            ),
        )  # fmt: skip
        exported = await names_at(prometheus.address, alertmanager)

    assert before == {}
    assert exported >= FOREIGN - {"up"}
    with capsys.disabled():
        print(table(watch.cases))
    expected = {(alert, patient.name) for alert, patient in ward.items()} | set(BY_AGENTS.items())
    assert {name for name, _ in expected} == BY_NAME.keys() - {"Watchdog"}
    strangers = {case for case in watch.cases.keys() - expected if case[1] not in (WHOLE, DOWN, ON_CHAIN, SILENT)}
    assert {case for case in strangers if not is_explained(*case, expected)} == set()


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
