"""inventory/OPERATING.md: its files are good, and its commands do what it says, on two nodes of this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from livefleet.spec import load_fleet
from tests.builders.agents import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "inventory/OPERATING.md").read_text()
BIN = Path(sys.executable).parent

FLEET = """\
name: home
network: offchain
secrets: {{join: {{file: join}}}}
defaults: {{profile: cpu}}
rollout: {{bake_s: 1}}
hosts:
  gpu-1:
    address: "@local"
    root: nodes/1
    role: orchestrator
    duties: []
    orchestrator: {{service_uri: "https://127.0.0.1:{door}", listen: "127.0.0.1:{door}", worker_secret: join}}
    monitoring: {{admin_listen: "127.0.0.1:{admin1}"}}
    prices: {{video: 1200 wei}}
  gpu-2:
    address: "@local"
    root: nodes/2
    role: worker
    duties: {{transcoding: {{max_sessions: {sessions}}}}}
    worker: {{orchestrator: "127.0.0.1:{door}", secret: join}}
    monitoring: {{admin_listen: "127.0.0.1:{admin2}"}}
"""
START_SH = """\
livepeer -network arbitrum-one-mainnet -ethUrl https://arb1.example.com/rpc \\
  -ethOrchAddr 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 \\
  -orchestrator -transcoder -nvidia 0 -pricePerUnit 1200 -serviceAddr gpu-1.example.com:8935 -maxSessions 4
"""
AI_MODELS = (
    '[{"pipeline": "text-to-image", "model_id": "ByteDance/SDXL-Lightning", "price_per_unit": 4768371, "warm": true}]'
)

RUN_ELSEWHERE = {
    "livefleet apply gpu-2 --remove --yes": "tests/e2e/test_fleet_over_ssh.py",
    "livefleet bundle init bundle --keys bundle-keys": "tests/e2e/test_node_pull.py",
    "livefleet bundle publish bundle --keys bundle-keys": "tests/e2e/test_node_pull.py",
    "livefleet bundle show bundle": "tests/e2e/test_node_pull.py",
}
CODES = {
    "livefleet plan": (0, 2),  # 2: there are changes
    "livefleet import node": (0, 1),  # 1: something is left to do before it can be applied
}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def console() -> list[str]:
    return [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]


class Home:
    """The fleet's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"door": free_port(), "admin1": free_port(), "admin2": free_port()}
        (folder / "join").write_text("a test-only secret\n")
        (folder / "start.sh").write_text(START_SH)
        (folder / "aiModels.json").write_text(AI_MODELS)
        self.declare(sessions=2)

    def declare(self, *, sessions: int) -> None:
        (self.folder / "fleet.yaml").write_text(FLEET.format(sessions=sessions, **self.ports))

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=180, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("operating"))
    try:
        yield made
    finally:
        done = made.run("livefleet apply --remove --purge --yes")
        assert done.returncode == 0, done.stderr


def test_files__each_is_a_fleet(tmp_path):
    files = blocks("yaml")
    assert len(files) == 4
    for number, text in enumerate(files):
        path = tmp_path / f"fleet-{number}.yaml"
        path.write_text(text)
        assert load_fleet(path, profiles=[CHECKOUT / "profiles"]).hosts


def test_sections__every_task_of_the_table_has_one():
    wanted = re.findall(r"\]\(#([a-z-]+)\)", PAGE)
    titles = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^## (.+)$", PAGE)
    }
    assert set(wanted) == titles


def test_links__lead_somewhere():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", PAGE):
        assert (CHECKOUT / "inventory" / target).exists(), target


def test_shell_commands__each_is_run_by_a_test():
    shown = [line for block in blocks("sh") for line in block.splitlines()]
    assert {command for command in shown if not (CHECKOUT / RUN_ELSEWHERE[command]).exists()} == set()


def test_commands__run_in_the_page_s_order__each_ends_well(home):
    said = {}
    for command in console():
        if command == "livefleet rollout --dry":
            home.declare(sessions=3)  # or there would be nothing to roll out
        done = home.run(command)
        allowed = next((codes for start, codes in CODES.items() if command.startswith(start)), (0,))
        assert done.returncode in allowed, f"$ {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said[command] = done.stdout + done.stderr
    assert (home.folder / "home/fleet.yaml").exists()
    assert (home.folder / "diag.tar.gz").stat().st_size > 0
    assert load_fleet(home.folder / "imported.yaml").hosts
    assert "gpu-2" in said["livefleet rollout --dry"]
    assert "gpu-1" in said["livefleet journal"]
    assert "-orchestrator" in said["livefleet export flags gpu-1 --as systemd"]
