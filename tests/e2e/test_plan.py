"""`livefleet plan` and what `apply` makes of it, on this machine with a whole agent; one installation for all of it."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from livefleet.control import load_plan
from livefleet.spec import load_fleet, node_digest
from tests.builders.agents import free_port
from tests.builders.deploys import a_checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SECRET = "test-only-join-secret"


class Site:
    """A fleet of one host in a folder here, and one that is not there."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.folder = folder
        self.checkout = checkout
        self.fleet = folder / "fleet.yaml"
        self.secret = folder / "join.txt"
        self.secret.write_text(SECRET)
        self.host: dict[str, Any] = {
            "address": "@local",
            "root": str(folder / "n"),
            "role": "orchestrator",
            "duties": {"transcoding": {"encoder": "software", "max_sessions": 3}},
            "gpus": "none",
            "orchestrator": {
                "service_uri": f"https://127.0.0.1:{(door := free_port())}",
                "listen": f"127.0.0.1:{door}",
                "worker_secret": "join",
            },
            "monitoring": {"admin_listen": f"127.0.0.1:{free_port()}"},
            "service": {"stop_timeout_s": 5},
        }
        self.others: dict[str, Any] = {}
        self.declare()

    def declare(self, **changes: Any) -> None:
        for section, values in changes.items():
            self.host[section] = {**self.host.get(section, {}), **values}
        data = {
            "version": 1,
            "name": "test",
            "secrets": {"join": {"file": "join.txt"}},
            "hosts": {"solo": self.host, **self.others},
        }
        with self.fleet.open("w") as file:
            YAML().dump(data, file)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-m", "livefleet", *words],
            cwd=self.checkout,
            env=os.environ | {"LIVEFLEET_SPEC": str(self.fleet)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=200,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        return done

    def plan(self, *words: str) -> tuple[int, dict[str, Any]]:
        done = self.run("plan", *words, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def agent(self) -> tuple[int, dict[str, Any]]:
        """Its process, and what it says of itself."""
        pid = int((self.folder / "n/run/livefleet/agent.pid").read_text())
        with urllib.request.urlopen(f"http://{self.host['monitoring']['admin_listen']}/status", timeout=10) as answer:
            return pid, json.load(answer)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    checkout = a_checkout(tmp_path_factory.mktemp("checkout") / "livefleet")
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:  # short: unix sockets stand under it
        made = Site(Path(folder), checkout)
        yield made
        removed = made.run("apply", "solo", "--remove", "--purge", "--yes")
        assert removed.returncode == 0, removed.stderr


def test_plan__bare_host__is_kept_and_apply_does_it(site: Site) -> None:
    kept = site.folder / "plan.json"
    code, plan = site.plan("--out", str(kept))
    assert code == 2
    (host,) = plan["hosts"]
    assert [step["step"] for step in host["steps"] if step["changes"]][-3:] == ["agent", "config", "service"]
    assert host["agent"] == "start"
    assert plan["chain"]["hosts"] == plan["hardware"] == []
    assert load_plan(kept).hosts[0].digest == host["digest"]
    assert not (site.folder / "n").exists()

    done = site.run("apply", "--plan", str(kept), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agents: 1 started" in done.stdout


def test_plan__as_declared__says_nothing_to_do(site: Site) -> None:
    done = site.run("plan")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "nothing to do: everything is as declared")
    assert "\x1b" not in done.stdout  # no colours where nobody sees them


def test_apply__spec_changed_after_the_plan__is_refused_and_nothing_is_done(site: Site) -> None:
    kept = site.folder / "plan.json"
    pid, before = site.agent()
    site.declare(orchestrator={"max_sessions": 7}, monitoring={"log_level": "DEBUG"})
    code, plan = site.plan("--out", str(kept))
    assert (code, plan["hosts"][0]["agent"]) == (2, "reload")
    assert {e["path"]: e["takeover"] for e in plan["hosts"][0]["effects"]} == {
        "orchestrator.max_sessions": "live",
        "monitoring.log_level": "live",
    }

    site.declare(orchestrator={"max_sessions": 8})
    done = site.run("apply", "--plan", str(kept), "--yes")
    assert done.returncode == 1
    assert "solo: plan: no longer as planned: its specification is another one" in done.stdout
    now = site.agent()
    assert (now[0], now[1]["digest"]) == (pid, before["digest"])


def test_apply__only_live_settings_changed__the_agent_goes_on_with_them(site: Site) -> None:
    pid, before = site.agent()
    done = site.run("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agents: 1 reloaded" in done.stdout
    now, after = site.agent()
    assert (now, after["started_at"]) == (pid, before["started_at"])
    assert after["digest"] == node_digest(load_fleet(site.fleet).node("solo")) != before["digest"]
    assert after["server"]["max_sessions"] == 8
    assert site.run("plan").returncode == 0


def test_plan__setting_of_the_start__says_what_restarts_the_agent_and_why(site: Site) -> None:
    site.declare(service={"stop_timeout_s": 6}, orchestrator={"max_sessions": 9})
    done = site.run("plan", "--diff")
    assert done.returncode == 2
    assert "orchestrator.max_sessions: 8 -> 9  live" in done.stdout
    assert "service.stop_timeout_s: 5.0 -> 6.0  restarts the agent: the unit or the supervisor has it" in done.stdout
    assert "the agent is restarted" in done.stdout
    assert "+  stop_timeout_s: 6.0" in done.stdout
    site.declare(service={"stop_timeout_s": 5}, orchestrator={"max_sessions": 8})


def test_plan__secret_changed__says_that_it_differs_and_no_more(site: Site) -> None:
    site.secret.write_text("another-test-only-secret")
    code, plan = site.plan()
    told = json.dumps(plan)
    site.secret.write_text(SECRET)
    assert code == 2
    assert "secrets/join: differs (content not shown)" in told
    assert "another-test-only-secret" not in told


def test_plan__some_host_is_away__is_1_and_only_that_one_is_3_and_a_wrong_name_4(site: Site) -> None:
    site.others = {
        "dead": {
            "address": "127.0.0.1",
            "ssh": {"port": free_port(), "user": "root", "connect_timeout_s": 3, "known_hosts": "known_hosts"},
            "role": "worker",
            "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
        }
    }
    site.declare()
    code, plan = site.plan()
    assert (code, [host["outcome"] for host in plan["hosts"]]) == (1, ["unchanged", "failed"])
    assert site.plan("dead")[0] == 3
    wrong = site.run("plan", "soolo")
    assert (wrong.returncode, wrong.stdout) == (4, "")
    assert "did you mean `solo`" in wrong.stderr
