"""Whole agents as processes of their own, as a service manager would run them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

START_TIMEOUT_S = 60


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@dataclass
class RunningAgent:
    """One agent process and where it listens."""

    node_yaml: Path
    admin: str
    service_uri: str
    root: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start it; by default wait until it is ready."""
        log = (self.root / "agent.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "livefleet", "agent", "run", str(self.node_yaml)],
            stdout=log,
            stderr=log,
            env=os.environ | self.env,
            start_new_session=True,
        )
        log.close()
        if ready:
            self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Poll /readyz; says what blocks when time is up."""
        deadline = time.monotonic() + timeout_s
        last = "never answered"
        while time.monotonic() < deadline:
            code, body = self.get("/readyz")
            if code == 200:
                return
            last = body
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        raise AssertionError(f"not ready after {timeout_s} s: {last}\n{self.log()[-4000:]}")

    def get(self, path: str) -> tuple[int, str]:
        """(status, body) of an admin endpoint; (0, why) when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def status(self) -> dict:
        """/status as parsed."""
        code, body = self.get("/status")
        assert code == 200, body
        return json.loads(body)

    def log(self) -> str:
        """What it wrote."""
        return (self.root / "agent.log").read_text()

    def kill(self) -> None:
        """kill -9: it can do nothing about it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM and wait; returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise AssertionError(f"did not stop within {timeout_s} s:\n{self.log()[-4000:]}") from None
        return self.process.returncode


@contextmanager
def an_agent(root: Path, *, env: dict[str, str] | None = None, start: bool = True, **node):
    """An agent over a node spec given as keyword arguments; always ended on leaving."""
    root.mkdir(parents=True, exist_ok=True)
    admin = f"127.0.0.1:{free_port()}"
    spec = {"fleet": "test", "name": "node", "root": str(root), "monitoring": {"admin_listen": admin}} | node
    service_uri = ""
    if spec.get("role") == "orchestrator":
        settings = dict(spec.get("orchestrator", {}))
        port = free_port()
        settings.setdefault("listen", f"127.0.0.1:{port}")
        settings.setdefault("service_uri", f"https://127.0.0.1:{settings['listen'].rpartition(':')[2]}")
        spec["orchestrator"] = settings
        service_uri = settings["service_uri"]
    node_yaml = root / "node.yaml"
    with node_yaml.open("w") as file:
        YAML(typ="safe").dump(spec, file)
    agent = RunningAgent(node_yaml, admin, service_uri, root, env or {})
    try:
        if start:
            agent.start()
        yield agent
    finally:
        agent.stop()
