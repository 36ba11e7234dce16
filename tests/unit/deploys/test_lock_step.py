"""The lock that an apply takes: its commands run by a real shell in a folder."""

import subprocess

import pytest

from deploys import steps
from deploys.facts import Observed
from tests.builders.deploys import a_node

pytestmark = pytest.mark.unit

ALICE, BOB = {"LIVEFLEET_OPERATOR": "alice@desk"}, {"LIVEFLEET_OPERATOR": "bob@laptop"}


class Host:
    def __init__(self, folder):
        self.folder = folder
        self.node = a_node(root=str(folder))
        self.opt = f"{folder}/opt/livefleet"

    def take(self, environ) -> tuple[int, str]:
        command = steps.taking(self.node, self.opt, environ)
        words = "".join(f"{line}\n" for line in command.stdin)
        done = subprocess.run(["sh", "-c", command.text], input=words, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stderr

    def give_back(self, environ) -> None:
        line = steps.giving_back(self.node, self.opt, environ)
        subprocess.run(["sh", "-euc", line], check=True, timeout=30)

    @property
    def lock(self):
        return self.folder / "opt/livefleet/operator.lock"


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_taken__another_operator_is_turned_away_until_it_is_given_back(host):
    assert host.take(ALICE) == (0, "")
    code, said = host.take(BOB)
    assert code == 1
    assert "another operator is changing this host" in said
    assert "alice@desk" in said
    host.give_back(BOB)  # not his
    assert host.lock.exists()
    host.give_back(ALICE)
    assert not host.lock.exists()
    assert host.take(BOB) == (0, "")


def test_broken_off__is_no_hindrance_to_the_same_operator(host):
    assert host.take(ALICE)[0] == 0
    token = host.lock.read_text().splitlines()[0]
    assert steps.locked_by_another(Observed(lock=f"{token} 900 alice@desk"), ALICE) is None
    assert host.take(ALICE)[0] == 0
    refused = steps.locked_by_another(Observed(lock=f"{token} 900 alice@desk"), BOB)
    assert refused is not None
    assert "alice@desk is changing this host" in (refused.refusal or "")


def test_rollout__holds_it_already(host):
    assert steps.taking(host.node, host.opt, {"LIVEFLEET_LOCK": "token"}) is None


def test_taken__operator_and_token_are_in_no_argument(host):
    command = steps.taking(host.node, host.opt, {"LIVEFLEET_OPERATOR": "mallory'; reboot #"})
    assert "mallory" not in command.text
    assert host.take({"LIVEFLEET_OPERATOR": "mallory'; exit 7 #"}) == (0, "")
