"""What an agent makes of a changed node.yaml, as SIGHUP asks it to look."""

from pathlib import Path

import pytest

from livefleet.app import Agent
from livefleet.kernel import Condition, Status
from livefleet.spec import load_node, node_digest

pytestmark = pytest.mark.unit

NODE = """\
fleet: f
name: n
role: worker
duties: [transcoding]
worker: {orchestrator: 'o.example.com:8935', secret: pool}
secrets: {pool: secrets/pool}
prices: {video: 1200 wei}
"""


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node.yaml"
    path.write_text(NODE)
    return path


def an_agent(node: Path) -> Agent:
    spec = load_node(node)
    return Agent(spec, digest=node_digest(spec), release="checkout")


def told(agent: Agent) -> Condition:
    (condition,) = [c for c in agent.status().conditions if c.name == "SpecCurrent"]
    return condition


def test_reload__prices_changed__are_taken_and_the_digest_follows(node: Path) -> None:
    agent = an_agent(node)
    node.write_text(NODE.replace("1200 wei", "1 USD per 1e12"))
    agent.reload(node)

    assert (told(agent).status, told(agent).reason, told(agent).gates_ready) == (Status.TRUE, "Taken", False)
    assert agent.status().digest == node_digest(load_node(node))


def test_reload__more_than_prices_changed__is_named_and_the_digest_says_so(node: Path) -> None:
    agent = an_agent(node)
    node.write_text(NODE.replace("1200 wei", "1300 wei").replace("o.example", "p.example"))
    agent.reload(node)

    assert (told(agent).status, told(agent).reason) == (Status.FALSE, "NeedsRestart")
    assert told(agent).message == "all else is as declared; restart the node for worker.orchestrator"
    assert agent.status().digest != node_digest(load_node(node))
    node.write_text(NODE.replace("1200 wei", "1300 wei"))
    assert agent.status().digest == node_digest(load_node(node))
    agent.reload(node)
    assert told(agent).status is Status.TRUE


@pytest.mark.parametrize("text", ["", "fleet: [", NODE.replace("1200 wei", "much")])
def test_reload__file_is_wrong__changes_nothing(node: Path, text: str) -> None:
    agent = an_agent(node)
    before = agent.status().digest
    node.write_text(text)
    agent.reload(node)

    assert (told(agent).status, told(agent).reason) == (Status.FALSE, "NotTaken")
    assert "node.yaml:" in told(agent).message
    assert agent.status().digest == before


def test_reload__file_is_gone__changes_nothing(node: Path) -> None:
    agent = an_agent(node)
    node.unlink()
    agent.reload(node)

    assert "cannot be read" in told(agent).message
