"""From the wheel alone to a running node: no checkout near, a fleet repository made by `livefleet init`."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.component, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
PLANTED = {"status": "pl4ntedInStatus", "log": "pl4nted-in-the-log", "join": "pl4nted-join-secret"}


@dataclass
class Operator:
    """A machine with livefleet installed, and a folder."""

    environment: Path
    folder: Path
    admin: str

    def run(self, *arguments: str, cwd: Path | None = None, program: str = "livefleet"):
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LIVEFLEET_SPEC")}
        words = {
            "livefleet": [self.environment / "bin/livefleet"],
            "pyinfra": [self.environment / "bin/python", "-m", "pyinfra"],
        }
        where = clean | {"XDG_STATE_HOME": str(self.environment / "state")}
        if program == "pyinfra":  # as the repository's README says
            own = self.run("init", "--where").stdout.strip()
            where |= {"LIVEFLEET_SPEC": str(self.folder / "fleet.yaml"), "PYTHONPATH": own}
        return subprocess.run(
            [*words[program], *arguments], cwd=cwd or self.folder, env=where, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip

    def apply(self, *arguments: str, cwd: Path | None = None) -> dict:
        done = self.run("apply", "--yes", "--json", "--fleet", str(self.folder / "fleet.yaml"), *arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["hosts"][0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def source(checkout: Path) -> Path:
    """The stand-in's checkout, with what a wheel is made of; its status says a URL with a password."""
    for name in ("setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, checkout)
    shutil.copytree(CHECKOUT / "profiles", checkout / "profiles")
    stand_in = checkout / "agent/livefleet/cli/agent.py"
    text = stand_in.read_text()
    assert "no endpoint answers" in text
    stand_in.write_text(text.replace("no endpoint answers", f"no answer of https://me:{PLANTED['status']}@rpc.test/"))
    return checkout


@pytest.fixture(scope="module")
def operator(source: Path) -> Iterator[Operator]:
    with tempfile.TemporaryDirectory(prefix="lf-") as short:  # unix sockets stand under it
        folder = Path(short)
        build = [BIN / "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
        subprocess.run([*build, folder / "dist", f"{source}{os.sep}"], check=True, timeout=200, cwd=folder)
        (wheel,) = (folder / "dist").iterdir()
        uv = [BIN / "uv", "--quiet", "--offline", "--no-config"]
        subprocess.run([*uv, "venv", "--python", sys.executable, folder / "env"], check=True, timeout=60)
        into = ["pip", "install", "--no-deps", "--python", folder / "env/bin/python"]
        subprocess.run([*uv, *into, wheel], check=True, timeout=60)
        site = next((folder / "env/lib").glob("python3*/site-packages"))
        (site / "others.pth").write_text(sysconfig.get_paths()["purelib"])  # all that livefleet needs, and not itself
        made = Operator(folder / "env", folder / "fleet", f"127.0.0.1:{free_port()}")
        worker = ("--role", "worker", "--orchestrator", "127.0.0.1:1", "--profile", "cpu")
        written = made.run("init", "fleet", "--host", "node=@local", *worker, "--root", "tree", cwd=folder)
        assert written.returncode == 0, written.stderr
        (made.folder / "secrets/join").write_text(PLANTED["join"])
        with (made.folder / "fleet.yaml").open("a") as spec:
            spec.write(f"    monitoring: {{admin_listen: '{made.admin}'}}\n    service: {{stop_timeout_s: 10}}\n")
        yield made
        assert made.apply("--remove", "--purge")["outcome"] == "changed"
        assert not (made.folder / "tree").exists()


@pytest.fixture(scope="module")
def applied(operator: Operator) -> dict:
    """What the first apply did; the node runs."""
    return operator.apply()


def test_validate__of_what_init_wrote__is_right_by_the_profiles_of_the_wheel(operator: Operator) -> None:
    done = operator.run("validate")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "fleet fleet on offchain: 1 host (1 worker)\nduties: transcoding on 1\nok\n"
    own = Path(operator.run("init", "--where").stdout.strip())
    assert own.is_relative_to(operator.environment)
    assert (own / "requirements.lock").read_text() == (CHECKOUT / "requirements.lock").read_text()


def test_profiles__of_the_wheel__are_all_there_with_what_is_known_of_cards(operator: Operator) -> None:
    own = Path(operator.run("init", "--where").stdout.strip())
    there = {path.name for path in (own / "profiles").iterdir()}
    assert there == {path.name for path in (CHECKOUT / "profiles").iterdir()}
    assert (own / "profiles/cards.yaml").read_text() == (CHECKOUT / "profiles/cards.yaml").read_text()
    shown = json.loads(operator.run("profiles", "show", "NVIDIA L4", "--json").stdout)
    assert shown["chain"] == ["l4", "nvidia-video"]
    assert shown["cards"][0]["facts"]["encoders"] == {"value": 2, "source": ["dynamo"], "disputed": []}


def test_apply__from_the_wheel_alone__brings_the_node_up_and_a_checkout_of_the_same_content_changes_nothing(
    operator: Operator, applied: dict, source: Path
) -> None:
    assert applied["outcome"] == "changed", applied
    assert "agent" in applied["changes"]
    program = operator.folder / "tree/opt/livefleet/current/venv/bin/python"
    where = "import livefleet, pathlib; f = pathlib.Path(livefleet.__file__).parent; print(f, (f / '_fleet').exists())"
    where += "; from livefleet.spec import card_of; print(card_of('Tesla T4').card)"
    told = subprocess.run([program, "-c", where], capture_output=True, text=True, cwd="/", timeout=60).stdout.split()
    assert told[0].startswith(str(operator.folder / "tree/opt/livefleet/"))
    assert told[1:] == ["False", "t4"]  # a host has no copy of the operator's side, and what is known of cards

    assert operator.apply(cwd=source)["outcome"] == "unchanged"
    status = operator.run("status", "--json")
    assert json.loads(status.stdout)["hosts"][0]["ready"] is True, status.stdout


def test_pyinfra__as_the_repositorys_readme_says__agrees_that_nothing_changes(
    operator: Operator, applied: dict
) -> None:
    done = operator.run("-y", "--json", "inventory.fleet", "deploys.site", program="pyinfra")
    assert done.returncode == 0, done.stderr
    totals = json.loads(done.stdout)["results"]["totals"]
    assert (totals["success"], totals["error"]) == (0, 0)
    assert totals["no_change"] > 0


def test_diag_and_logs__of_this_machine__have_no_planted_secret(operator: Operator, applied: dict) -> None:
    log = operator.folder / "tree/var/log/livefleet/agent.log"
    with log.open("a") as file:
        file.write(
            json.dumps({"ts": "2026-03-01T10:00:00+00:00", "level": "error", "event": "x", "token": PLANTED["log"]})
        )
        file.write(f"\nsaid {PLANTED['join']}\n")
    bundle = operator.folder / "x.tar.gz"
    done = operator.run("diag", "node", "-o", str(bundle), "--json")
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(bundle.read_bytes())) as tar:
        texts = {member.name.partition("/")[2]: tar.extractfile(member).read().decode() for member in tar.getmembers()}
    assert (
        json.loads(texts["hosts/node/status.json"])["conditions"][0]["message"] == "no answer of https://***@rpc.test/"
    )
    assert "name: node" in texts["hosts/node/node.yaml"]
    assert "running" in texts["hosts/node/unit.txt"]
    assert '"token": "***"' in texts["hosts/node/agent.log"]
    logs = operator.run("logs", "--grep", "x|said").stdout
    assert "error   x token=***" in logs
    whole = "\n".join([*texts.values(), done.stdout, done.stderr, logs])
    assert not [name for name, secret in PLANTED.items() if secret in whole]
