"""What the agent on a host goes through: facts in, decision and commands out."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploys import steps
from deploys.facts import FileFact, Observed, parse_facts, script
from deploys.outcome import Outcome, Shell
from deploys.steps import AgentAction, AgentChange
from livefleet.spec import NodeSpec, to_yaml
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

RELEASE, OPT = "0.1.0-aaaaaaaaaaaa", "/opt/livefleet"


def files_of(node: NodeSpec, *, secret: bytes = b"s", unit: bytes = b"[Unit]\n") -> tuple[steps.HostFile, ...]:
    files = steps.node_files(node, to_yaml(node), {"secrets/join": secret}, None)
    return (*files, steps.HostFile(steps.UNIT_PATH, unit, 0o644, None, secret=False))


def a_running_host(node: NodeSpec, **facts: Any) -> Observed:
    """It runs `node`, as an apply left it."""
    files = files_of(node)
    found = {
        file.path: FileFact(file.mode, "root", file.sha256, None if file.secret else file.content.decode())
        for file in files
    }
    stamp = steps.stamp_of(RELEASE, files)
    given = {"active": True, "enabled": True, "current": RELEASE, "started": stamp, "good": stamp, "files": found}
    return a_host(**(given | facts))


def decide(
    before: NodeSpec, after: NodeSpec, *, release: str = RELEASE, facts: Any = None, **files: Any
) -> AgentChange:
    declared = files_of(after, **files)
    seen = a_running_host(before) if facts is None else facts
    return steps.agent_change(after, release, declared, steps.stamp_of(release, declared), seen)


def step(change: AgentChange, *, kind: steps.ServiceKind = steps.ServiceKind.SYSTEMD, enabled: bool = True) -> Outcome:
    return steps.service(a_node(), kind, "stamp", OPT, a_host(active=True, enabled=enabled), None, change)


def text_of(outcome: Outcome) -> str:
    return "\n".join(c.text for c in outcome.commands if isinstance(c, Shell))


# -- the decision


def test_agent_change__nothing_changed__is_nothing() -> None:
    assert decide(a_node(), a_node()) == AgentChange()


def test_agent_change__only_live_settings__is_a_reload_that_names_them() -> None:
    change = decide(a_node(), a_node(prices={"video": "7 wei"}))
    assert (change.action, change.reasons) == (AgentAction.RELOAD, ())
    assert [effect.path for effect in change.effects.changes] == ["prices.video"]


def test_agent_change__one_setting_of_the_start__restarts() -> None:
    change = decide(a_node(), a_node(prices={"video": "7 wei"}, gpus="none"))
    assert change.action is AgentAction.RESTART
    assert [effect.path for effect in change.effects.restarts] == ["gpus"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"release": "0.1.0-bbbbbbbbbbbb"}, f"release {RELEASE} -> 0.1.0-bbbbbbbbbbbb"),
        ({"unit": b"[Unit]\nAfter=x\n"}, f"{steps.UNIT_PATH} changed"),
        ({"secret": b"other"}, "/var/lib/livefleet/secrets/join changed"),
    ],
)
def test_agent_change__live_setting_and_something_else__restarts_for_that(changed: dict[str, Any], reason: str) -> None:
    change = decide(a_node(), a_node(prices={"video": "7 wei"}), **changed)
    assert (change.action, change.reasons) == (AgentAction.RESTART, (reason,))


def test_agent_change__file_that_the_host_lacks__restarts_for_it() -> None:
    facts = a_running_host(a_node())
    path = "/var/lib/livefleet/secrets/join"
    facts = replace(facts, files={name: found for name, found in facts.files.items() if name != path})
    change = decide(a_node(), a_node(prices={"video": "7 wei"}), facts=facts)
    assert (change.action, change.reasons) == (AgentAction.RESTART, (f"{path} is new",))


def test_agent_change__run_was_cut_off_before__restarts_since_nobody_knows_what_runs() -> None:
    node, newer = a_node(), a_node(prices={"video": "7 wei"})
    for started in ("", "another"):
        facts = replace(a_running_host(node), started=started)
        assert decide(node, newer, facts=facts).action is AgentAction.RESTART
    switched = replace(a_running_host(newer), started=a_running_host(node).started)  # files new, agent told nothing
    change = decide(newer, newer, facts=switched)
    assert (change.action, change.reasons) == (AgentAction.RESTART, ("it is not known to run what is on the host",))


def test_agent_change__node_yaml_of_another_version__restarts() -> None:
    node = a_node()
    facts = a_running_host(node)
    path = str(node.paths.node_yaml)
    foreign = replace(facts.files[path], text="fleet: demo\nunheard_of: 1\n")
    facts = replace(facts, files=facts.files | {path: foreign})
    change = decide(node, a_node(prices={"video": "7 wei"}), facts=facts)
    assert (change.action, change.reasons) == (AgentAction.RESTART, ("what its node.yaml said is not known",))


def test_agent_change__nothing_runs__starts() -> None:
    assert decide(a_node(), a_node(), facts=a_host()).action is AgentAction.START
    assert decide(a_node(), a_node(), facts=a_running_host(a_node(), active=False)).action is AgentAction.START


def test_stamp__any_part_changes__changes() -> None:
    file = steps.HostFile("/a", b"1", 0o600, None, secret=True)
    other = steps.HostFile("/a", b"2", 0o600, None, secret=True)
    assert len({steps.stamp_of("r1", [file]), steps.stamp_of("r2", [file]), steps.stamp_of("r1", [other])}) == 3


# -- the commands


def test_service__nothing_to_do__is_no_change() -> None:
    assert step(AgentChange()) == Outcome()


def test_service__not_enabled__is_enabled_and_left_alone() -> None:
    text = text_of(step(AgentChange(), enabled=False))
    assert "systemctl enable" in text
    assert "restart" not in text


@pytest.mark.parametrize(("action", "told"), [(AgentAction.START, "started"), (AgentAction.RESTART, "restarted")])
def test_service__start_or_restart__is_told_and_stamped_afterwards(action: AgentAction, told: str) -> None:
    outcome = step(AgentChange(action))
    text = text_of(outcome)
    assert "agent reload" not in text
    assert text.index("systemctl restart") < text.index(f"{steps.TOLD}{told}") < text.index("> /opt/livefleet/started")
    assert outcome.agent == action


def test_service__reload__says_what_changes_live_and_that_nothing_restarts() -> None:
    outcome = step(decide(a_node(), a_node(prices={"video": "7 wei"})))
    assert outcome.notes == ("tell the agent; nothing is restarted", "prices.video: 0 -> 7: taken over live")
    assert outcome.agent == "reload"


def test_service__restart__says_for_what() -> None:
    change = decide(a_node(), a_node(gpus="none"), release="0.1.0-bbbbbbbbbbbb")
    assert step(change).notes[0] == f"restart the agent for release {RELEASE} -> 0.1.0-bbbbbbbbbbbb, gpus"


@pytest.mark.parametrize(("taken", "expected"), [(0, "reloaded"), (1, "restarted")])
def test_service__agent_does_not_take_it_over__is_restarted_after_all(
    tmp_path: Path, taken: int, expected: str
) -> None:
    opt = tmp_path / "opt"
    program = opt / "current/venv/bin/livefleet"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho said >&2; exit {taken}\n")
    program.chmod(0o755)
    (opt / "supervise.py").write_text("import sys; print('supervisor', sys.argv[1])\n")
    node = a_node(root=str(tmp_path))
    change = AgentChange(AgentAction.RELOAD)
    outcome = steps.service(node, steps.ServiceKind.PROCESS, "stamp", str(opt), a_host(active=True), None, change)
    done = subprocess.run(["sh", "-c", text_of(outcome)], capture_output=True, text=True, check=True, timeout=60)
    told = [line for line in done.stdout.splitlines() if line.startswith(steps.TOLD)]
    assert told == [f"{steps.TOLD}{expected}"]
    assert ("supervisor stop" in done.stdout) is (expected == "restarted")
    assert (opt / "started").read_text() == "stamp\n"


# -- what the driver says of its cards


def test_observe__loaded_driver__names_its_cards(tmp_path: Path) -> None:
    card = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information"
    card.parent.mkdir(parents=True)
    card.write_text(
        "Model: \t\t NVIDIA RTX A4000\nIRQ:   \t\t 140\nGPU UUID: \t GPU-01234567-89ab\nDMA Size: \t 47 bits\n"
    )
    text = f"proc={tmp_path}/proc\n" + script(str(tmp_path), [], [])
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, timeout=60)
    found = parse_facts(done.stdout.splitlines())
    assert found is not None
    assert found.nvidia_gpus == (("GPU-01234567-89ab", "NVIDIA RTX A4000"),)
