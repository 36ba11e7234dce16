"""The whole deploy on this very machine, in a folder of its own, with a stand-in for the agent."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from livefleet.control import ApplyOptions, Event, Outcome, Summary, apply, fleet_status
from livefleet.kernel import BadInput, ExitCode
from livefleet.spec import load_fleet

pytestmark = [pytest.mark.component, pytest.mark.timeout(600)]

SECRET = "test-only-join-secret"


class Site:
    """A fleet of local hosts and one that is not there."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.folder = folder
        self.checkout = checkout
        self.spec = folder / "fleet.yaml"
        self.root = folder / "solo"
        self.ports = {name: _free_port() for name in ("solo", "second")}
        (folder / "join.txt").write_text(SECRET)
        self.declare("solo")

    def declare(self, *local: str, log_level: str = "INFO", dead: bool = False) -> None:
        hosts: dict[str, Any] = {
            name: {
                "address": "@local",
                "root": str(self.folder / name),
                "role": "worker",
                "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
                "monitoring": {"admin_listen": f"127.0.0.1:{self.ports[name]}", "log_level": log_level},
                "service": {"stop_timeout_s": 10},
            }
            for name in local
        }
        if dead:
            hosts["dead"] = {
                "address": "127.0.0.1",
                "ssh": {"port": _free_port(), "user": "root", "connect_timeout_s": 5, "known_hosts": "known_hosts"},
                "role": "worker",
                "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
            }
        with self.spec.open("w") as file:
            YAML().dump({"version": 1, "name": "test", "secrets": {"join": {"file": "join.txt"}}, "hosts": hosts}, file)

    def apply(self, **options: Any) -> tuple[Summary, list[Event]]:
        events: list[Event] = []
        found = apply(self.spec, ApplyOptions(**options), on_event=events.append, checkout=self.checkout)
        return found, events

    def pyinfra(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(Path(sys.executable).with_name("pyinfra")), *arguments],
            cwd=self.checkout,
            env={**os.environ, "LIVEFLEET_SPEC": str(self.spec)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )


@pytest.fixture
def site(checkout: Path) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:  # short: unix sockets stand under it
        yield from _a_site(Path(folder), checkout)


def _a_site(folder: Path, checkout: Path) -> Iterator[Site]:
    made = Site(folder, checkout)
    yield made
    removed, _ = made.apply(remove=True, purge=True, hosts=tuple(h for h in load_fleet(made.spec).hosts if h != "dead"))
    assert removed.exit_code is ExitCode.DONE
    assert not made.root.exists()


def test_apply__twice__brings_the_host_up_and_then_changes_nothing(site: Site) -> None:
    first, events = site.apply()
    assert [(h.outcome, h.changes) for h in first.hosts] == [(Outcome.CHANGED, ("agent", "config", "service"))]
    second, _ = site.apply()
    assert [(h.outcome, h.changes) for h in second.hosts] == [(Outcome.UNCHANGED, ())]

    secret = site.root / "var/lib/livefleet/secrets/join"
    assert secret.read_text() == SECRET
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (site.root / "etc/livefleet/node.yaml").stat().st_mode & 0o777 == 0o600
    assert SECRET not in "".join(event.model_dump_json() for event in events)
    current = site.root / "opt/livefleet/current"
    assert current.is_symlink()
    assert (current / "venv/bin/livefleet").exists()

    status = fleet_status(load_fleet(site.spec))
    assert [(h.ready, h.drifted, h.error) for h in status.hosts] == [(True, False, "")]
    assert status.exit_code is ExitCode.DONE


def test_apply__spec_changes__restarts_only_the_service_and_clears_the_drift(site: Site) -> None:
    site.apply()
    site.declare("solo", log_level="DEBUG")
    assert fleet_status(load_fleet(site.spec)).hosts[0].drifted
    found, events = site.apply(diff=True)
    assert found.hosts[0].changes == ("config", "service")
    shown = [event.text for event in events if event.event == "note" and event.step == "diff"]
    assert "-  log_level: INFO" in shown
    assert "+  log_level: DEBUG" in shown
    assert not fleet_status(load_fleet(site.spec)).hosts[0].drifted


def test_apply__run_was_cut_off_before_the_restart__the_next_one_restarts(site: Site) -> None:
    site.apply()
    (site.root / "opt/livefleet/started").write_text("cut off\n")
    found, _ = site.apply()
    assert found.hosts[0].changes == ("service",)


def test_apply__one_host_is_unreachable__others_go_on_and_it_exits_1(site: Site) -> None:
    site.declare("solo", "second", dead=True)
    found, _ = site.apply()
    assert [(h.host, h.reason) for h in found.hosts if h.host != "dead"] == [("solo", ""), ("second", "")]
    assert [h.outcome for h in found.hosts] == [Outcome.CHANGED, Outcome.CHANGED, Outcome.FAILED]
    dead = found.hosts[-1]
    assert dead.failed_step == "connect"
    assert "check that dead is up" in dead.advice
    assert found.exit_code is ExitCode.PARTLY_FAILED

    status = fleet_status(load_fleet(site.spec))
    assert [h.ready for h in status.hosts] == [True, True, False]
    assert "cannot reach dead at 127.0.0.1" in status.hosts[-1].error
    assert status.exit_code is ExitCode.PARTLY_FAILED


def test_apply__dry__says_what_would_change_and_touches_nothing(site: Site) -> None:
    found, _ = site.apply(dry=True)
    assert [(h.outcome, h.changes) for h in found.hosts] == [(Outcome.WOULD_CHANGE, ("agent", "config", "service"))]
    assert not site.root.exists()


def test_apply__secret_file_is_missing__that_host_fails_naming_it(site: Site) -> None:
    (site.folder / "join.txt").unlink()
    found, _ = site.apply()
    assert "secrets.join: cannot read" in found.hosts[0].reason
    (site.folder / "join.txt").write_text(SECRET)


def test_apply__unknown_host__is_bad_input_with_a_hint(site: Site) -> None:
    with pytest.raises(BadInput, match="did you mean `solo`"):
        site.apply(hosts=("soolo",))


def test_pyinfra__both_forms__work_and_agree_that_nothing_changes(site: Site) -> None:
    by_file = site.pyinfra("-y", "--diff", "inventory/fleet.py", "deploys/site.py")
    assert by_file.returncode == 0, by_file.stderr
    assert SECRET not in by_file.stdout + by_file.stderr
    by_name = site.pyinfra("-y", "--json", "inventory.fleet", "deploys.site")
    assert by_name.returncode == 0, by_name.stderr
    totals = json.loads(by_name.stdout)["results"]["totals"]
    assert (totals["success"], totals["error"]) == (0, 0)
    assert totals["no_change"] == 11


def test_pyinfra__spec_is_wrong__says_where(site: Site) -> None:
    good = site.spec.read_text()
    site.spec.write_text(good.replace("role: worker", "role: wroker", 1))
    done = site.pyinfra("-y", "inventory/fleet.py", "deploys/site.py")
    site.spec.write_text(good)
    assert done.returncode != 0
    assert "fleet.yaml:" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
