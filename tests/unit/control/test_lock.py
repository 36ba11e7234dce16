"""Locks on hosts, by the very script that runs there, on this machine."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from livefleet.control.lock import Holder, HostLocks, LockState
from livefleet.kernel import OutsideWorld
from livefleet.spec import load_fleet
from livefleet.spec.operator_lock import LOCK_HELD_FOR_S

pytestmark = pytest.mark.unit

FLEET = """\
name: f
network: {name: offchain}
secrets: {join: {env: JOIN}}
defaults: {role: worker, duties: [transcoding], worker: {orchestrator: "o:8935", secret: join}}
hosts:
  a: {address: "@local", root: a}
  b: {address: "@local", root: b, monitoring: {admin_listen: "127.0.0.1:7937"}}
"""


class Here:
    """Runs the script as it would run on the host; `away` are hosts that are not reached."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "fleet.yaml").write_text(FLEET)
        self.fleet = load_fleet(folder / "fleet.yaml")
        self.away = set()

    def run(self, settings, words, *, timeout_s):
        if settings.name in self.away:
            raise OutsideWorld(f"cannot reach {settings.name}")
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=timeout_s).stdout

    def locks(self, name, token=""):
        return HostLocks(self.fleet, Holder(name, token or f"token-{name}"), run=self.run)

    def file(self, host):
        return self.folder / host / "opt/livefleet/operator.lock"


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path)


def states(answers):
    return {answer.host: answer.state for answer in answers}


def test_take__free__is_ours_until_it_is_released(here):
    locks = here.locks("alice")
    assert states(locks.take(["a", "b"])) == {"a": LockState.OURS, "b": LockState.OURS}
    token, until, owner, since = here.file("a").read_text().splitlines()
    assert (token, owner, int(until) - int(since)) == ("token-alice", "alice", LOCK_HELD_FOR_S)
    assert here.file("a").stat().st_mode & 0o077 == 0
    assert states(locks.take(["a"])) == {"a": LockState.OURS}  # resuming takes it again
    assert states(locks.release(["a", "b"])) == {"a": LockState.FREE, "b": LockState.FREE}
    assert not here.file("a").exists()


def test_take__held_by_another__says_who_and_for_how_long(here):
    here.locks("alice@laptop").take(["a"])
    (answer,) = here.locks("bob").take(["a"])
    assert answer.state is LockState.HELD
    assert answer.text.startswith("alice@laptop has been at it for ")
    assert "unless renewed" in answer.text
    assert states(here.locks("bob").release(["a"])) == {"a": LockState.FREE}
    assert here.file("a").exists()  # a release of what is not ours does nothing


def test_take__expired__is_nobodys(here):
    here.locks("alice").take(["a"])
    lines = here.file("a").read_text().splitlines()
    here.file("a").write_text("\n".join([lines[0], "1000", *lines[2:]]) + "\n")
    assert states(here.locks("bob").take(["a"])) == {"a": LockState.OURS}


def test_take__file_is_garbage__is_nobodys(here):
    here.file("a").parent.mkdir(parents=True)
    here.file("a").write_text("")
    assert states(here.locks("bob").take(["a"])) == {"a": LockState.OURS}


def test_break__is_noted_in_the_hosts_journal(here):
    here.locks("alice").take(["a"])
    (here.folder / "a/var/lib/livefleet").mkdir(parents=True)
    assert states(here.locks('bob "x" \\').take(["a"], by_force=True)) == {"a": LockState.OURS}
    deed = json.loads((here.folder / "a/var/lib/livefleet/journal.jsonl").read_text())
    assert (deed["who"], deed["action"], deed["outcome"]) == ("bob x ", "break lock", "taken from alice")


def test_take__many_at_once__one_gets_it(here):
    operators = [here.locks(f"operator{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        got = [
            state
            for answers in pool.map(lambda locks: locks.take(["a"]), operators)
            for state in states(answers).values()
        ]
    assert sorted(got) == [LockState.HELD] * 5 + [LockState.OURS]


def test_renew__somebody_took_it__nothing_more_is_done(here):
    alice = here.locks("alice")
    alice.take(["a"])
    alice.check()
    here.locks("bob").take(["a"], by_force=True)
    alice._note_lost(alice._each("renew", ["a"]))
    with pytest.raises(OutsideWorld, match="a: the lock is no longer ours: bob"):
        alice.check()


def test_take__host_is_away__others_are_taken(here):
    here.away = {"b"}
    assert states(here.locks("alice").take(["a", "b"])) == {"a": LockState.OURS, "b": LockState.UNREACHED}
