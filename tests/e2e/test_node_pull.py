"""A whole agent in pull mode, kept running by the supervisor that hosts have; a web server hands the bundle out."""

import functools
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from livefleet.spec import load_fleet, node_digest, to_yaml
from tests.builders.agents import RunningAgent, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SUPERVISOR = Path(__file__).parents[2] / "deploys/files/supervise.py"
LIVEFLEET = [sys.executable, "-m", "livefleet"]

FLEET = """\
name: home
network: offchain
defaults:
  pull: {{url: "{url}", trust: bundle/metadata/root.json, every_s: 1, spread_s: 1}}
hosts:
  n1:
    address: "@local"
    root: node
    role: orchestrator
    gpus: none
    duties: [transcoding]
    orchestrator: {{service_uri: "https://127.0.0.1:{port}", listen: "127.0.0.1:{port}"}}
    monitoring: {{admin_listen: "127.0.0.1:{admin}"}}
    prices: {{video: {price} wei}}
"""


class PulledNode:
    """A fleet of one host, its bundle's server, and the agent that pulls from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values = {"price": 100, "port": free_port(), "admin": free_port()}
        handler = functools.partial(_Quiet, directory=str(folder / "bundle"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.values["url"] = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        root = folder / "node"
        self.agent = RunningAgent(root / "etc/livefleet/node.yaml", f"127.0.0.1:{self.values['admin']}", "", root)

    def livefleet(self, *arguments: object) -> str:
        done = subprocess.run(
            [*LIVEFLEET, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, **values: object) -> str:
        """The fleet with these values as the bundle's next version; the digest that the host is to have."""
        self.values |= values
        (self.folder / "fleet.yaml").write_text(FLEET.format(**self.values))
        self.livefleet("bundle", "publish", "bundle", "--keys", "keys", "--fleet", "fleet.yaml")
        return node_digest(load_fleet(self.folder / "fleet.yaml").node("n1"))

    def apply(self) -> None:
        """What `apply` would bring: the slice and the root that it trusts."""
        node = load_fleet(self.folder / "fleet.yaml").node("n1")
        node.paths.node_yaml.parent.mkdir(parents=True)
        node.paths.node_yaml.write_text(to_yaml(node))
        trust = node.paths.resolve(node.pull.trust)
        trust.parent.mkdir(parents=True)
        shutil.copy(self.folder / "bundle/metadata/root.json", trust)

    def supervise(self, action: str) -> None:
        root = self.agent.root
        program = [*LIVEFLEET, "agent", "run", str(self.agent.node_yaml)]
        start = ["--log", str(root / "agent.log"), "--", *program] if action == "start" else []
        command = [
            "python3",
            str(SUPERVISOR),
            action,
            "--pid-file",
            str(root / "supervisor.pid"),
            "--stop-timeout",
            "20",
        ]
        done = subprocess.run([*command, *start], timeout=60, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def pid(self) -> int:
        return int((self.agent.root / "run/livefleet/agent.pid").read_text())


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pull")
    (folder / "bundle").mkdir()
    made = PulledNode(folder)
    made.livefleet("bundle", "init", "bundle", "--keys", "keys")
    made.publish()
    made.apply()
    made.supervise("start")
    try:
        made.agent.wait_ready()
        yield made
    finally:
        made.supervise("stop")
        made.agent.end_left_over()
        made.server.shutdown()
        made.server.server_close()
        made.thread.join()


def test_a_price_is_published__the_running_agent_takes_it_over(node):
    node.agent.until_condition("PulledSpec", "Current")
    before = node.pid()
    digest = node.publish(price=250)
    node.agent.until("the new price is in force", lambda status: status["digest"] == digest)
    assert node.pid() == before
    assert node.agent.metric("livefleet_pull_held_version") == 2


def test_a_signal_to_look_at_node_yaml__does_not_take_back_what_was_pulled(node):
    digest = node.agent.status()["digest"]
    assert "version 2 of its bundle" in node.livefleet("agent", "reload", node.agent.node_yaml)
    assert node.agent.status()["digest"] == digest


def test_another_port_is_published__the_agent_starts_anew_with_it_and_keeps_it(node):
    before = node.pid()
    digest = node.publish(port=free_port())
    node.agent.until("the new port is in force", lambda status: status["digest"] == digest)
    assert node.pid() != before
    node.agent.until("it is kept", lambda status: status["pull"]["state"] == "good" and status["ready"])
    with socket.create_connection(("127.0.0.1", node.values["port"]), timeout=5):
        pass


def test_settings_that_do_not_come_up__are_put_back_and_said(node):
    digest = node.agent.status()["digest"]
    admin = node.values["admin"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node.publish(admin=taken.getsockname()[1])
        condition = node.agent.until_condition("PulledSpec", "PutBack", timeout_s=90)
    assert "did not become ready" in condition["message"]
    status = node.agent.status()
    assert status["digest"] == digest
    assert [item["version"] for item in status["pull"]["put_back"]] == [4]
    node.agent.wait_ready()
    node.publish(admin=admin)
    node.agent.until_condition("PulledSpec", "Current")


def test_a_bundle_of_somebody_else__changes_nothing_and_is_said(node, tmp_path):
    digest = node.agent.status()["digest"]
    subprocess.run(
        [*LIVEFLEET, "bundle", "init", "b", "--keys", "k"], cwd=tmp_path, check=True, timeout=60, capture_output=True
    )
    own = node.folder / "bundle/metadata"
    kept = tmp_path / "kept"
    shutil.copytree(own, kept)
    subprocess.run(
        [*LIVEFLEET, "bundle", "publish", "b", "--keys", "k", "--fleet", str(node.folder / "fleet.yaml")],
        cwd=tmp_path, check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    shutil.copytree(tmp_path / "b/metadata", own, dirs_exist_ok=True)
    node.agent.until_condition("PulledSpec", "WrongSignature", "Older")
    assert node.agent.status()["digest"] == digest
    shutil.rmtree(own)
    shutil.copytree(kept, own)
    node.agent.until_condition("PulledSpec", "Current")
    assert json.loads(node.livefleet("bundle", "show", "bundle", "--json"))["believed"]
