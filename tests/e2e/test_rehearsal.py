"""inventory/REHEARSAL.md, command by command, as an operator would go through it from an empty folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.builders.agents import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PORTS = ("8545", "8935", "7936")  # as the page and its fleet have them
PATIENCE_S = 60


class Rehearsal:
    """A folder to rehearse in. Ports are free ones in place of the page's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        self.said: list[tuple[str, str]] = []  # (command, its output)
        fleet = (CHECKOUT / "inventory/examples/rehearsal.yaml").read_text()
        (folder / "fleet.yaml").write_text(self._at_free_ports(fleet))

    def run(self, command: str, *, timeout_s: float = 120) -> str:
        """One line of the page in a shell; it has to end well."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._at_free_ports(command)],
            cwd=self.folder,
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        self.said.append((command, done.stdout))
        return done.stdout

    def output(self, start: str, *, which: int = -1) -> str:
        """What the command that begins so printed; of several the last."""
        return [output for command, output in self.said if command.startswith(start)][which]

    def status(self) -> dict:
        """The node's own word."""
        (host,) = json.loads(self.run("livefleet status --json"))["hosts"]
        return host

    def wait(self, what: str, holds) -> None:
        """Until the node says so."""
        ends = time.monotonic() + PATIENCE_S
        while not holds(status := self.status()):
            assert time.monotonic() < ends, f"{what}: {json.dumps(status, indent=1)}"
            time.sleep(0.5)

    def end(self) -> None:
        """As the page's last section."""
        env = os.environ | {"LIVEFLEET_SPEC": str(self.folder / "fleet.yaml")}
        remove = [BIN / "pyinfra", "-y", "inventory/fleet.py", "deploys/remove.py"]
        subprocess.run(remove, cwd=CHECKOUT, env=env, capture_output=True, check=True, timeout=120)
        self.run("livefleet devchain down")

    def _at_free_ports(self, text: str) -> str:
        for page, free in self.ports.items():
            text = re.sub(rf"\b{page}\b", free, text)
        return text


@pytest.fixture
def rehearsal():
    folder = Path(tempfile.mkdtemp(prefix="lf-"))  # short: unix sockets below it have a limit of 107 bytes
    made = Rehearsal(folder)
    yield made
    made.end()
    shutil.rmtree(folder)


def commands(section: str) -> list[str]:
    """The page's commands under a heading."""
    page = (CHECKOUT / "inventory/REHEARSAL.md").read_text()
    (text,) = re.findall(rf"^## {section}$\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\$ (.+)$", text, re.MULTILINE)


def test_rehearsal__every_command_of_the_page__does_what_the_page_says(rehearsal):
    def go_through(section: str) -> None:
        for command in commands(section):
            rehearsal.run(command)

    go_through("A chain and three keys")
    assert "refused" not in rehearsal.output("livefleet keys plan --check-chain")
    go_through("Activate")
    assert "to be signed" in rehearsal.output("livefleet chain plan", which=0)
    assert "nothing to change" in rehearsal.output("livefleet chain plan")
    assert "rank 1 of 1" in rehearsal.output("livefleet chain rank")
    go_through("Run it")
    rehearsal.wait("reward called", lambda host: is_condition(host, "RewardCalled", "Called"))

    *_, mine, _ = fund = commands("Fund a gateway, win tickets, redeem")
    while not won(host := rehearsal.status()):
        assert host
        for command in fund[:-2]:
            rehearsal.run(command)
    rehearsal.run(mine)
    rehearsal.wait("redeemed", lambda host: tickets(host)["redeemed"]["count"] == tickets(host)["won"]["count"])
    assert "redeemed" in rehearsal.run(fund[-1])

    go_through("Reward, withdraw")
    assert "withdraw" in rehearsal.output("livefleet chain propose")
    rehearsal.wait("reward called again", lambda host: is_condition(host, "RewardCalled", "Called"))
    go_through("Vote")
    assert "cast" in rehearsal.output("livefleet chain proposals")
    rehearsal.wait("books closed", lambda host: is_condition(host, "LedgerBalanced", "Balanced"))
    go_through("Close the books")
    assert "reward income" in rehearsal.output("livefleet report tax")
    assert {command for command, _ in rehearsal.said} >= set(ALL) - {"livefleet devchain down"}


ALL = re.findall(r"^\$ (.+)$", (CHECKOUT / "inventory/REHEARSAL.md").read_text(), re.MULTILINE)


def is_condition(host: dict, name: str, reason: str) -> bool:
    return any(c["name"] == name and c["reason"] == reason for c in host["report"]["conditions"])


def tickets(host: dict) -> dict:
    return host["report"]["payments"]["tickets"]


def won(host: dict) -> int:
    return tickets(host)["won"]["count"]
