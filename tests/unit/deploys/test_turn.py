"""Hosts that are out of service for a step take turns."""

from collections.abc import Iterator
from types import SimpleNamespace

import gevent
import pytest
from pyinfra.context import ctx_state

from deploys import entry
from deploys.outcome import Shell

pytestmark = pytest.mark.unit

COMMANDS = (Shell("first"), Shell("second"))


def run(told: list[str], name: str, *, alone: bool, executing: bool = True, fails: bool = False) -> None:
    with ctx_state.use(SimpleNamespace(is_executing=executing)):
        commands: Iterator[object] = entry.perform._inner(COMMANDS, alone=alone)
        for command in commands:
            told.append(f"{name} {command}")
            gevent.sleep(0)  # where a real one waits for its host
            if fails:
                break


def together(**flags: bool) -> list[str]:
    told: list[str] = []
    hosts = [gevent.spawn(run, told, name, **flags) for name in ("a", "b")]
    assert len(gevent.joinall(hosts, timeout=20, raise_error=True)) == 2
    return told


def test_perform__alone__ends_on_one_host_before_it_begins_on_the_next() -> None:
    assert together(alone=True) == ["a first", "a second", "b first", "b second"]


def test_perform__not_alone__runs_on_all_at_once() -> None:
    assert together(alone=False) == ["a first", "b first", "a second", "b second"]


def test_perform__alone_and_failing__gives_the_turn_to_the_next() -> None:
    assert together(alone=True, fails=True) == ["a first", "b first"]


def test_perform__alone_while_planning__waits_for_nobody() -> None:
    assert together(alone=True, executing=False) == ["a first", "b first", "a second", "b second"]
