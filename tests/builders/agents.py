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
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests.lab.processes import ProcessId, descendants

START_TIMEOUT_S = 60
PATIENCE_S = 60


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
    python: str = sys.executable
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start it; by default wait until it is ready."""
        log = (self.root / "agent.log").open("ab")
        self.process = subprocess.Popen(
            [self.python, "-m", "livefleet", "agent", "run", str(self.node_yaml)],
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

    def until(self, what: str, holds: Callable[[dict], object], *, timeout_s: float = PATIENCE_S) -> dict:
        """Poll /status until it `holds`; returns it. Says what it is like when time is up."""
        deadline = time.monotonic() + timeout_s
        last: object = "never answered"
        while time.monotonic() < deadline:
            code, body = self.get("/status")
            if code == 200:
                last = status = json.loads(body)
                if holds(status):
                    return status
            time.sleep(0.05)
        raise AssertionError(f"not within {timeout_s} s: {what}\n{json.dumps(last, indent=1)}\n{self.log()[-4000:]}")

    def until_condition(
        self, name: str, *reasons: str, subject: str | None = None, timeout_s: float = PATIENCE_S
    ) -> dict:
        """Wait for a condition to have one of these reasons; returns it."""

        def found(status: dict) -> dict | None:
            of_name = (c for c in status["conditions"] if c["name"] == name and c["reason"] in reasons)
            return next((c for c in of_name if subject in {None, c["subject"]}), None)

        status = self.until(f"{name} {subject or ''} {'|'.join(reasons)}", found, timeout_s=timeout_s)
        condition = found(status)
        assert condition is not None
        return condition

    def metric(self, name: str, **labels: str) -> float | None:
        """One sample of /metrics; None where there is none with these labels."""
        code, text = self.get("/metrics")
        assert code == 200, text
        samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
        return next((s.value for s in samples if s.name == name and labels.items() <= s.labels.items()), None)

    def family(self) -> list[ProcessId]:
        """Itself and every process below it."""
        assert self.process is not None
        pids = (self.process.pid, *descendants(self.process.pid))
        return [process for pid in pids if (process := ProcessId.of(pid)) is not None]

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

    def end_left_over(self) -> None:
        """End the front door that a killed agent left behind, as its next start would."""
        run = self.root / "run/livefleet"
        try:
            pid = int((run / "nginx.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return
        process = ProcessId.of(pid)
        if process is not None and str(run / "nginx.conf").encode() in command:
            process.end(10)


@contextmanager
def an_agent(
    root: Path, *, env: dict[str, str] | None = None, start: bool = True, python: str = sys.executable, **node
):
    """An agent over a node spec given as keyword arguments; always ended on leaving."""
    root.mkdir(parents=True, exist_ok=True)
    admin = f"127.0.0.1:{free_port()}"
    spec = {"fleet": "test", "name": "node", "root": str(root)} | node
    spec["monitoring"] = {"admin_listen": admin} | dict(spec.get("monitoring", {}))
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
    agent = RunningAgent(node_yaml, admin, service_uri, root, env or {}, python)
    try:
        if start:
            agent.start()
        yield agent
    finally:
        try:
            agent.stop()
        finally:
            agent.end_left_over()
