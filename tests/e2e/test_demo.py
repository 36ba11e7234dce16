"""`./run demo` twice and `./run down`, as a newcomer would."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder():
    # Short on purpose: unix sockets below it have a limit of 107 bytes.
    made = Path(tempfile.mkdtemp(prefix="lf-"))
    yield made / "demo"
    run_script(made / "demo", "down", check=False)
    shutil.rmtree(made, ignore_errors=True)


def run_script(folder: Path, *arguments: str, check: bool = True):
    done = subprocess.run(
        ["./run", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"LIVEFLEET_DEMO_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def test_demo__the_whole_road__shows_renditions_tickets_reward_and_an_image(folder):
    shown = json.loads(run_script(folder, "demo", "--json").stdout)
    assert shown["ok"]
    assert len(shown["stream"]["segments"]) == 10
    assert all(
        s["signature_ok"] and not s["problems"] and len(s["renditions"]) == 3 for s in shown["stream"]["segments"]
    )
    tickets = shown["tickets"]
    assert tickets["received"]["count"] >= shown["stream"]["spending"]["tickets"]
    assert tickets["redeemed"]["count"] == tickets["won"]["count"] > 0
    assert tickets["pending"]["count"] == tickets["lost"]["count"] == 0
    assert shown["paid_wei"] == tickets["redeemed"]["face_value_wei"]
    assert shown["reward"]["last_reward_round"] == shown["reward"]["round"]
    assert all(Path(f).read_bytes().startswith(b"\x89PNG") for f in shown["image"]["files"])


def test_demo__again__takes_up_what_is_there(folder):
    again = run_script(folder, "demo")
    assert "1 unchanged" in again.stdout
    assert "The road runs" in again.stdout
    assert "./run down" in again.stdout


def test_down__stops_all_and_removes_all(folder):
    done = run_script(folder, "down")
    assert "removed" in done.stdout
    assert not folder.exists()
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    assert "nothing runs" in run_script(folder, "down").stdout
