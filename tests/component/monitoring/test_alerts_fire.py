"""Every alert, from its cause to a person and back: whole agents and the agent's own exporter, a real Prometheus that
reads them, a real Alertmanager that tells, the relay that signs, and a receiver.

What is waited for before an alert fires is a 600th of what operators get, and what is counted over minutes is counted
over seconds; the rules are the same otherwise.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from livefleet.monitoring.monitoring_rules import FOREIGN
from livefleet.monitoring.promql import selectors
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.alert_watch import BY_NAME, OF_A_CHAIN, OF_A_HOST, Alerting, alerting, target
from tests.builders.alerting import RunningPrometheus
from tests.builders.metrics import Scrape, the_table
from tests.builders.paid_nodes import a_paid_node
from tests.builders.patients import Patient, patients
from tests.devchain.process import Process
from tests.nvml import stub

pytestmark = [pytest.mark.component, pytest.mark.timeout(240)]

SHOWN = {"node", "orch", "chain", "redeems", "media", "gpu"}
AFTER_AN_EVENT = {"livepeer_payment_recv_errors"}
"""Not there before the first; tests/e2e/test_node_metrics.py sees them."""
DUTIES = {"transcoding": {"encoder": "software"}, "redemption": {"check_every_s": 0.5}, "reward": {}}
A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"
WHOLE, ON_CHAIN, SILENT, DOWN, MONITOR = "whole", "on-chain", "silent", "down", "monitor"
BY_AGENTS = {
    "GpuFault": WHOLE, "GpuHot": WHOLE, "DriverTrouble": WHOLE, "SpecNotTaken": WHOLE, "SpecDrift": WHOLE,
    "RpcLost": ON_CHAIN, "NodeDown": DOWN, "NodeSilent": SILENT, "NotificationsFail": MONITOR,
}  # fmt: skip


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

    alerting: Alerting
    ward: dict[str, Patient]
    agents: dict[str, RunningAgent]
    nvml: stub.NvmlState
    chain: Process
    prometheus: RunningPrometheus
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
        refuses, answers = {"/refusing": 404}, self.alerting.receiver.answers
        yield watch.through("NotificationsFail", MONITOR, lambda: answers.update(refuses), answers.clear)

    def stop(self, number):
        """The chain's process stands still, or goes on."""
        os.kill(self.chain.pid, number)


@asynccontextmanager
async def a_scene(folder):
    """Everything up and well."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
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
        telling = await enter(alerting(folder))
        targets = [
            *(target(patient.name, patient.admin.address) for patient in ward.values()),
            *(target(name, agent.admin) for name, agent in agents.items()),
            target(MONITOR, telling.alertmanager, "alertmanager"),
        ]
        heard = [*targets, target(SILENT, ward["ConditionFalse"].admin.address)]  # a second way to its page
        declared = {WHOLE: whole.status()["digest"].removeprefix("sha256:")[:12], SILENT: ""}
        prometheus = await enter(telling.reading(heard, declared))
        yield Scene(
            telling, ward, agents, nvml, chain, prometheus,
            [Scrape.of(agent.get("/metrics")[1]) for agent in agents.values()],
            lambda: prometheus.read_from(targets), lambda: prometheus.read_from(heard),
        )  # fmt: skip


def test_every_alert__is_fired_by_one_of_the_tests__by_a_whole_agent_where_it_can():
    by_patients, by_whole = patients().keys(), BY_AGENTS.keys() | OF_A_CHAIN | OF_A_HOST
    assert by_patients | by_whole == BY_NAME.keys() - {"Watchdog"}
    assert by_patients & by_whole == set()


async def test_every_alert__its_cause_comes_and_goes__is_told_and_taken_back(short_path, capsys):
    async with a_scene(short_path) as scene:
        watch = await scene.alerting.watch()
        before = dict(watch.cases)
        await asyncio.gather(*scene.troubles(watch))
        exported = await names_at(scene.prometheus.address, scene.alerting.alertmanager)

    assert {alert for alert, _ in before} <= {"NodeDown"}
    assert [fault for rule in BY_NAME.values() for fault in not_exported(rule, scene.pages)] == []
    assert exported >= FOREIGN - {"up"}
    with capsys.disabled():
        print(watch.table())
    expected = {(alert, patient.name) for alert, patient in scene.ward.items()} | set(BY_AGENTS.items())
    assert watch.proven() == expected
    strangers = {case for case in watch.strangers(expected) if case[1] not in (WHOLE, DOWN, ON_CHAIN, SILENT)}
    assert strangers == set()


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


async def names_at(*addresses):
    """What Prometheus and Alertmanager export of themselves."""
    async with httpx.AsyncClient() as client:
        pages = [(await client.get(f"http://{address}/metrics")).text for address in addresses]
    return {line.partition("{")[0].partition(" ")[0] for page in pages for line in page.splitlines()}
