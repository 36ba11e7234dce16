"""From an image's first-boot.yaml to an agent that reports, with every program a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from click.testing import CliRunner

from livefleet.cli import main
from livefleet.control.enrol.store import EnrolStore
from livefleet.spec import NodePaths, load_node, node_digest
from tests.builders.agents import RunningAgent, free_port
from tests.builders.enrol import SECRET, a_fleet_file

PATIENCE_S = 120


def livefleet(*words):
    result = CliRunner().invoke(main, ["enrol", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@contextmanager
def a_process(log, *words, env=None):
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "livefleet", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=os.environ | (env or {}),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come about")


def test_image__boots_with_a_stick_while_the_service_comes_and_goes__becomes_an_agent_that_reports(tmp_path):
    root, port = tmp_path / "host", free_port()
    fleet = a_fleet_file(tmp_path, root, free_port())
    of_fleet = ("--fleet", str(fleet))
    keys = ("--keys", str(tmp_path / "enrol-keys"))
    service = ("enrol", "serve", *of_fleet, *keys, "--listen", f"127.0.0.1:{port}")
    paths = NodePaths(root)
    paths.config.mkdir(parents=True)
    (root / "boot").mkdir()
    pin = livefleet("pin", *keys).strip()
    livefleet("usb", str(root / "boot"), *of_fleet, "--group", "workers")
    (paths.config / "first-boot.yaml").write_text(
        f"url: https://127.0.0.1:{port}\ntrust: {{pins: ['{pin}']}}\nretry: {{first_s: 0.1, cap_s: 0.5}}\n"
    )
    token = (root / "boot/livefleet.yaml").read_text().partition("token: ")[2].strip()
    screen, log = tmp_path / "screen.txt", tmp_path / "service.log"
    with a_process(screen, "agent", "first-boot", "--root", str(root)) as boot:
        until("trouble on the screen", lambda: "does not answer" in screen.read_text())
        with a_process(log, *service, env={}) as first:  # without JOIN_SECRET in its environment
            until("a host let in", lambda: "enrol.let_in" in log.read_text())
            until("the secret missed", lambda: "cannot be used just now" in screen.read_text())
            first.kill()
        assert boot.poll() is None
        assert not paths.node_yaml.exists()
        with a_process(log, *service, env={"JOIN_SECRET": SECRET}):
            assert boot.wait(PATIENCE_S) == 0, screen.read_text()
            node = load_node(paths.node_yaml)
            livefleet("adopt", *of_fleet)
            shown = CliRunner().invoke(main, ["render", node.name, *of_fleet])
            assert paths.node_yaml.read_text() == shown.stdout
            assert node.paths.resolve(node.secrets["join"]).read_text() == SECRET
            agent = RunningAgent(paths.node_yaml, node.monitoring.admin_listen, "", root)
            agent.start(ready=False)
            try:
                store = EnrolStore(fleet.with_suffix(".enrolled.sqlite3"), frozenset)
                until("a report", lambda: store.hosts()[0].report)
            finally:
                agent.stop()
                agent.end_left_over()
    listed = json.loads(livefleet("list", *of_fleet, "--json"))[0]
    report = listed["report"]
    assert report["digest"] == node_digest(node) == listed["digest_declared"]
    assert report["ready"] is False  # its orchestrator is not there
    assert json.loads(livefleet("token", "list", *of_fleet, "--json"))[0]["used"] == 1
    said = screen.read_text() + log.read_text() + agent.log()
    assert "enrolled as " + node.name in said
    assert "▄" in said  # a QR code
    assert token not in said
    assert SECRET not in said
