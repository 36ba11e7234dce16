"""A rollout over two nodes of this machine, with a stand-in for the agent: proven, back, cut off, resumed, locked."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from livefleet.control import ApplyOptions, Outcome, SmokeResult, apply
from livefleet.control.lock import Holder, HostLocks, LockState
from livefleet.control.rollout import Phase, RolloutRecord, RolloutRequest, RolloutSession, Watcher
from livefleet.kernel import ExitCode, OutsideWorld
from livefleet.spec import RolloutSettings, load_fleet

pytestmark = [pytest.mark.component, pytest.mark.timeout(900)]

REQUEST = RolloutRequest(RolloutSettings(bake_s=0, drain_s=0))


class Site:
    """Two workers that stand in for one another."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.folder = folder
        self.checkout = checkout
        self.spec = folder / "fleet.yaml"
        self.ports = {name: _free_port() for name in ("one", "two")}
        (folder / "join.txt").write_text("test-only")
        self.earns_nothing: set[str] = set()
        self.watcher = Watcher()

    def declare(self, log_level: str) -> None:
        hosts = {
            name: {
                "address": "@local",
                "root": str(self.folder / name),
                "role": "worker",
                "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
                "monitoring": {"admin_listen": f"127.0.0.1:{port}", "log_level": log_level},
                "service": {"stop_timeout_s": 5 if log_level == "INFO" else 6},  # which is not taken over live
            }
            for name, port in self.ports.items()
        }
        with self.spec.open("w") as file:
            YAML().dump({"version": 1, "name": "test", "secrets": {"join": {"file": "join.txt"}}, "hosts": hosts}, file)

    def session(self) -> RolloutSession:
        def smoke(host: str) -> SmokeResult:
            return SmokeResult(host, host not in self.earns_nothing, "as said beforehand", 0.0)

        return RolloutSession(load_fleet(self.spec), self.checkout, "me@here", self.watcher, lambda _: smoke)

    def roll(self) -> RolloutRecord:
        session = self.session()
        record = session.unfinished()
        token = record.token if record else session.new_token()
        with session.locked(("one", "two"), token) as locks:
            return session.carry_out(record or session.plan(REQUEST, token), REQUEST, locks)

    def command(self, *words: str) -> dict[str, Any]:
        program = str(Path(sys.executable).with_name("livefleet"))
        done = subprocess.run(
            [program, "rollout", "--fleet", str(self.spec), "--json", *words],
            cwd=self.checkout, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    @contextmanager
    def started(self, *words: str) -> "Iterator[tuple[subprocess.Popen[str], Path]]":
        """A rollout that runs, and what it says on stderr."""
        said = self.folder / "said.txt"
        program = str(Path(sys.executable).with_name("livefleet"))
        command = [program, "rollout", "--fleet", str(self.spec), "--yes", "--json", "--no-smoke", *words]
        with said.open("w") as file, subprocess.Popen(
            command, cwd=self.checkout, stdout=subprocess.PIPE, stderr=file, text=True
        ) as process:  # fmt: skip
            try:
                yield process, said
            finally:
                process.kill()

    def level(self, host: str) -> str:
        text = (self.folder / host / "etc/livefleet/node.yaml").read_text()
        return next(line.split()[-1] for line in text.splitlines() if "log_level" in line)

    def deeds(self, host: str) -> list[tuple[str, str]]:
        lines = (self.folder / host / "var/lib/livefleet/journal.jsonl").read_text().splitlines()
        return [(deed["action"], deed["outcome"]) for deed in map(json.loads, lines)]


@pytest.fixture(scope="module")
def site(checkout: Path) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="lf-") as folder:
        patch.setenv("XDG_STATE_HOME", f"{folder}/state")
        patch.setenv("LIVEFLEET_OPERATOR", "me@here")
        made = Site(Path(folder), checkout)
        made.declare("INFO")
        yield made
        options = ApplyOptions(remove=True, purge=True)
        assert apply(made.spec, options, on_event=lambda _: None, checkout=checkout).exit_code is ExitCode.DONE


def phases(record: RolloutRecord) -> dict[str, Phase]:
    return {name: host.phase for name, host in record.hosts.items()}


def test_rollout__on_bare_hosts__brings_up_each_and_notes_who_did_it(site: Site) -> None:
    told = site.command("--dry")
    assert [batch["hosts"] for batch in told["batches"]] == [["one"], ["two"]]
    assert not (site.folder / "one/etc").exists()
    told = site.command("--yes", "--bake", "0", "--drain", "0", "--no-smoke")
    assert {name: host["outcome"] for name, host in told["hosts"].items()} == {"one": "done", "two": "done"}
    assert site.deeds("one") == [("apply", "serving")]
    written = [json.loads(line) for line in site.session().journal.read_text().splitlines()]
    assert [(deed.get("host", ""), deed["outcome"]) for deed in written][-1] == ("", "done")
    assert all(deed["who"] == "me@here" for deed in written)
    assert not (site.folder / "one/opt/livefleet/operator.lock").exists()


def test_rollout__host_does_not_earn__goes_back_to_what_it_ran_and_nobody_follows(site: Site) -> None:
    site.declare("DEBUG")
    site.earns_nothing = {"one"}
    record = site.roll()
    assert phases(record) == {"one": Phase.WENT_BACK, "two": Phase.WAITING}
    assert "smoke job: as said beforehand" in record.hosts["one"].text
    assert (site.level("one"), site.level("two")) == ("INFO", "INFO")
    assert site.deeds("one")[-2:] == [("apply", "serving"), ("rollback", "serving")]
    again = apply(site.spec, ApplyOptions(("one",), rollback=True), on_event=lambda _: None, checkout=site.checkout)
    assert again.hosts[0].outcome is Outcome.UNCHANGED  # back already


def test_rollout__killed_by_a_second_signal__leaves_at_once_and_the_next_one_takes_hosts_into_service_when_asked(
    site: Site,
) -> None:
    state = site.folder / "one/var/lib/livefleet"
    (state / "busy").touch()
    (state / "hangs").touch()
    with site.started("--drain", "10m") as (process, said):
        _until(lambda: "one  draining" in said.read_text(), said)
        process.send_signal(signal.SIGTERM)
        _until(lambda: "stopping: " in said.read_text(), said)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT
        assert "`livefleet rollout --resume` goes on" in said.read_text()
    assert (state / "drain.json").exists()
    (state / "hangs").unlink()
    with site.started("--resume", "--drain", "10m") as (process, said):
        _until(lambda: "one  draining" in said.read_text(), said)
        process.send_signal(signal.SIGINT)
        told = json.loads(process.communicate(timeout=120)[0])
        assert process.returncode == ExitCode.PARTLY_FAILED, said.read_text()
    assert told["ended"] is None
    assert told["hosts"]["one"] == {"outcome": "not begun", "text": "put back into service", "restarts": True}
    assert not (state / "drain.json").exists()
    assert not (site.folder / "one/opt/livefleet/operator.lock").exists()
    assert site.level("one") == "INFO"
    written = [json.loads(line) for line in site.session().journal.read_text().splitlines()][-2:]
    assert [(deed.get("host", ""), deed["outcome"], deed.get("text", "")) for deed in written] == [
        ("one", "not begun", "put back into service"), ("", "interrupted", ""),
    ]  # fmt: skip
    (state / "busy").unlink()


def test_rollout__cut_off__is_resumed_where_it_was_and_no_apply_crosses_it(site: Site) -> None:
    site.earns_nothing = set()

    def cut(name: str, host: object) -> None:
        if name == "two":
            raise KeyboardInterrupt

    site.watcher = Watcher(on_host=cut)
    with pytest.raises(KeyboardInterrupt):
        site.roll()
    site.watcher = Watcher()
    assert (site.level("one"), site.level("two")) == ("DEBUG", "INFO")
    record = site.session().unfinished()
    assert record is not None
    assert record.hosts["one"].phase is Phase.DONE

    other = HostLocks(load_fleet(site.spec), Holder("other@there", "other-token"))
    assert [lock.state for lock in other.take(("two",))] == [LockState.OURS]
    with pytest.raises(OutsideWorld, match="two: other@there has been at it"):
        site.roll()
    refused = apply(site.spec, ApplyOptions(("two",)), on_event=lambda _: None, checkout=site.checkout)
    assert "other@there is changing this host" in refused.hosts[0].reason
    session = site.session()
    with session.locked(("two",), record.token, by_force=True):
        pass
    assert site.deeds("two")[-1] == ("break lock", "taken from other@there")

    record = site.roll()
    assert phases(record) == {"one": Phase.DONE, "two": Phase.DONE}
    assert (site.level("one"), site.level("two")) == ("DEBUG", "DEBUG")
    assert site.session().unfinished() is None


def _until(holds: Callable[[], bool], said: Path, *, within_s: float = 180) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, said.read_text()
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
