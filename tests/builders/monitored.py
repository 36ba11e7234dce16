"""A fleet with a monitor, and Prometheus itself for tests: its own process, on loopback, ended with the test."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.spec import Fleet
from tests.builders.spec import a_fleet

WAIT_S = 60.0

FLEET = """\
name: demo
network: offchain
secrets: {scrape: {env: SCRAPE}, push: {env: PUSH}, other: {host_file: /etc/other}, ca: {env: CA}, cert: {env: CERT}, \
key: {env: KEY}}
monitoring: {scrape_every_s: 5}
defaults: {firewall: managed}
hosts:
  mon:
    address: 10.0.0.9
    role: monitor
    monitor: {listen: "0.0.0.0:7938", token: push}
    monitoring: {node_exporter: true}
  a:
    address: 10.0.0.1
    role: orchestrator
    orchestrator: {service_uri: "https://a:8935"}
    monitoring: {scrape: {token: scrape}, node_exporter: true}
  far:
    address: far.example.com
    role: orchestrator
    orchestrator: {service_uri: "https://far:8935"}
    monitoring: {push: {url: "https://mon.example.com:7938", token: push, ca: ca}}
"""


def a_monitored_fleet(folder: Path, text: str = FLEET) -> Fleet:
    return a_fleet(folder, text)


def a_free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class RunningPrometheus:
    """Its folder, its port, and the process; `stop` and `start` as often as wanted, its data stays."""

    folder: Path
    port: int
    flags: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = shutil.which("prometheus")
        assert program, "apt-get install prometheus"
        own = (f"--config.file={self.folder}/prometheus.yml", f"--web.listen-address=127.0.0.1:{self.port}")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *own, "--log.level=warn", *self.flags], stdout=subprocess.DEVNULL, stderr=log
            )
        wait_for(self._is_ready, f"Prometheus on {self.url}: {self.folder / 'log'}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def query(self, expression: str) -> list[dict[str, str]]:
        """Labels of each series found, its value as `value`."""
        found = self._get("/api/v1/query", query=expression)["result"]
        return [{**row["metric"], "value": row["value"][1]} for row in found]

    def samples(self, selector: str, since: float, until: float, step_s: float = 1.0) -> list[tuple[float, str]]:
        """(time, value) of the one series."""
        found = self._get("/api/v1/query_range", query=selector, start=since, end=until, step=step_s)["result"]
        return [(float(at), value) for row in found for at, value in row["values"]]

    def targets(self) -> list[dict[str, str]]:
        found = self._get("/api/v1/targets")["activeTargets"]
        return [{**t["labels"], "health": t["health"], "error": t["lastError"]} for t in found]

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def _get(self, path: str, **asked: object) -> dict:
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(asked)}", timeout=20) as answer:
            return json.load(answer)["data"]


@contextmanager
def a_prometheus(folder: Path, *flags: str, port: int | None = None) -> Iterator[RunningPrometheus]:
    """Started with `folder`'s prometheus.yml. Samples go below the folder where no flag says otherwise."""
    kept = flags if any("storage" in flag for flag in flags) else (f"--storage.tsdb.path={folder}/data", *flags)
    running = RunningPrometheus(folder, port or a_free_port(), kept)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def write_files(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def wait_for(is_so: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def checked(argv: Sequence[str], folder: Path) -> str:
    """What a checking tool says of files that it takes; fails where it does not."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
