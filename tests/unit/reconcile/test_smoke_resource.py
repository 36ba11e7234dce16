"""To whom a node is offered as paid jobs pass and fail, and as what runs changes."""

import pytest

from livefleet.kernel import ConditionBoard, Status
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import SMOKE_PASSED, SmokeResource, is_proven
from livefleet.spec import SmokeProof, load_smoke_proofs, save_smoke_proofs
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

PAYER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
DRIVER = "580.65.06"


class Node:
    """What runs, who is told of it, and what it says."""

    def __init__(self, state):
        self.state = state
        self.driver = DRIVER
        self.offered = []
        self.board = ConditionBoard(HandClock())
        self.resource = self.started("r1")

    def started(self, release, account=PAYER):
        self.resource = SmokeResource(
            self.state,
            account=account,
            release=release,
            driver=lambda: self.driver,
            offer_to=self.offered.append,
        )
        self.loop = ReconcileLoop(self.resource, self.board)
        return self.resource

    def note(self, *, passed=True, release="r1", driver=DRIVER, text="video: 1 segment(s)"):
        proof = SmokeProof(passed=passed, release=release, driver=driver, at=0, text=text)
        save_smoke_proofs(self.state, load_smoke_proofs(self.state).adding(proof))

    async def look(self):
        """The next look's outcome: who is offered the node, and the condition."""
        await self.loop.once()
        said = next((c for c in self.board.all() if c.name == SMOKE_PASSED), None)
        return self.offered[-1], said


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


async def test_no_job_yet__only_who_pays_it(node):
    offered, said = await node.look()
    assert (offered, said.status, said.reason) == (PAYER, Status.FALSE, "NotTried")
    assert said.message == f"no paid job was done here yet; only {PAYER} is offered the node"
    assert not said.gates_ready  # the job is done on nodes that are ready


async def test_job_passed__everybody(node):
    node.note()
    offered, said = await node.look()
    assert (offered, said.status) == (None, Status.TRUE)
    assert said.message == "a paid job passed at 1970-01-01 00:00 UTC: video: 1 segment(s)"
    assert is_proven(node.resource.look())


async def test_a_later_job_failed__only_who_pays_it_until_one_passes(node):
    node.note()
    await node.look()
    node.note(passed=False, text="video failed at check: black")
    offered, said = await node.look()
    assert (offered, said.reason) == (PAYER, "Failed")
    assert said.message.startswith("the last paid job failed: video failed at check: black;")
    node.note()
    assert (await node.look())[0] is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda node: node.started("r2"), f"by release r1 with driver {DRIVER}, and release r2 with driver {DRIVER} "),
        (lambda node: setattr(node, "driver", "590.1"), f"by release r1 with driver {DRIVER}, and release r1 with "),
        (lambda node: setattr(node, "driver", ""), f"by release r1 with driver {DRIVER}, and release r1 runs"),
    ],
    ids=["release", "driver", "no driver"],
)
async def test_something_else_runs__what_passed_before_proves_nothing(node, change, text):
    node.note()
    await node.look()
    change(node)
    offered, said = await node.look()
    assert (offered, said.status, said.reason) == (PAYER, Status.FALSE, "NotTried")
    assert f"the last paid job was done {text}" in said.message


async def test_what_runs_is_started_again__is_proven_still(node):
    node.note()
    node.started("r1")
    assert (await node.look())[0] is None


async def test_driver_not_known_yet__is_no_fault_and_no_proof(node):
    node.note()
    node.driver = None
    offered, said = await node.look()
    assert (offered, said.status, said.reason) == (PAYER, Status.UNKNOWN, "Looking")


async def test_what_was_proven_before_is_gone_back_to__is_proven_still(node):
    """A release that failed is taken back by whoever rolls out, and nobody pays the host for another job then."""
    node.note()
    node.started("r2")
    node.note(release="r2", passed=False)
    assert (await node.look())[1].reason == "Failed"
    node.started("r1")
    assert (await node.look())[0] is None


def test_notes__are_bounded_and_the_latest_stay(node, tmp_path):
    for number in range(20):
        node.note(release=f"r{number}")
    assert [proof.release for proof in load_smoke_proofs(tmp_path).proofs] == [f"r{n}" for n in range(12, 20)]


@pytest.mark.parametrize("content", [b"", b"{", b'{"passed": true}', b'{"proofs": [{}]}', b"\xff\xfe"])
async def test_outcome_that_cannot_be_read__proves_nothing_and_is_said(node, tmp_path, content):
    (tmp_path / "smoke.json").write_bytes(content)
    offered, said = await node.look()
    assert (offered, said.reason) == (PAYER, "Unreadable")
    assert str(tmp_path / "smoke.json") in said.message


async def test_nobodys_job_is_waited_for__everybody_and_nothing_is_said(node):
    await node.look()
    node.resource.go_by(None)
    assert await node.look() == (None, None)
    node.resource.go_by(PAYER)
    assert (await node.look())[0] == PAYER


def test_note__is_for_the_folders_owner_alone(node, tmp_path):
    node.note()
    assert (tmp_path / "smoke.json").stat().st_mode & 0o777 == 0o600
