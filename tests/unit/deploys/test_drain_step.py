"""The drain step: options in, the agent's own command out."""

import shlex

import pytest

from deploys import steps
from deploys.outcome import Shell
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

HOST = a_host(current="0.1.0-aaaa")
PROGRAM = "/opt/livefleet/current/venv/bin/livefleet agent drain /etc/livefleet/node.yaml"


def command_of(outcome):
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    return command


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["--deadline=10m", "--reason="]),
        ({"deadline": "1h", "reason": "new disk; rm -rf /"}, ["--deadline=1h", "--reason=new disk; rm -rf /"]),
        ({"device": "GPU-1", "wait": True}, ["--device=GPU-1", "--deadline=10m", "--reason=", "--wait"]),
        ({"off": True, "wait": True}, ["--off"]),
        ({"off": True, "device": "cpu"}, ["--device=cpu", "--off"]),
    ],
)
def test_drain__options__are_the_agents_own(options, words):
    command = command_of(steps.drain(a_node(), "/opt/livefleet", HOST, **options))
    assert shlex.split(command.text.splitlines()[-1]) == [*PROGRAM.split(), *words]


def test_drain__waits__has_time_for_the_deadline():
    waiting = command_of(steps.drain(a_node(), "/opt/livefleet", HOST, deadline="2h", wait=True))
    assert waiting.timeout_s > 7200
    assert command_of(steps.drain(a_node(), "/opt/livefleet", HOST, deadline="2h")).timeout_s < 600


@pytest.mark.parametrize(
    ("facts", "options", "reason"),
    [
        (None, {}, "did not run a shell command"),
        (a_host(), {}, "apply first"),
        (HOST, {"deadline": "soon"}, "write 90s, 10m or 1h30m"),
    ],
)
def test_drain__cannot_be__is_refused_with_what_to_do(facts, options, reason):
    assert reason in (steps.drain(a_node(), "/opt/livefleet", facts, **options).refusal or "")
