"""Changing the node.yaml of an agent that runs, and having it taken over as apply does."""

import asyncio
import json
import subprocess
import sys
from typing import Any

from ruamel.yaml import YAML

from livefleet.spec import load_node, node_digest
from tests.builders.agents import RunningAgent

__all__ = ["change", "changed"]


def change(agent: RunningAgent, **sections: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """Give sections of node.yaml other values, None taking one away; how `agent reload` ends and what it says."""
    yaml = YAML(typ="safe")
    data = yaml.load(agent.node_yaml)
    for name, values in sections.items():
        if values is None:
            data.pop(name, None)
        else:
            data[name] = {**data.get(name, {}), **values}
    with agent.node_yaml.open("w") as file:
        yaml.dump(data, file)
    done = subprocess.run(
        [sys.executable, "-m", "livefleet", "agent", "reload", str(agent.node_yaml), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


async def changed(agent: RunningAgent, **sections: dict[str, Any] | None) -> None:
    """The same, where all of it has to be in force afterwards, in the same process."""
    started = agent.status()["started_at"]
    code, said = await asyncio.to_thread(change, agent, **sections)
    assert (code, said["taken"]) == (0, True), said
    status = agent.status()
    assert status["digest"] == node_digest(load_node(agent.node_yaml)) == said["digest"]
    assert status["started_at"] == started
