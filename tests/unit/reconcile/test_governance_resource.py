from dataclasses import replace
from typing import cast

import pytest

from livefleet.chain import ChainClient, OpenVote, VoteKind
from livefleet.kernel import Address, Status
from livefleet.reconcile.resources import GovernanceResource

pytestmark = pytest.mark.unit

ORCHESTRATOR = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
AWAITED = OpenVote(
    kind=VoteKind.PROPOSAL, id="77", title="Pay", weight=5 * 10**18, begins_in=0, rounds_left=3, has_voted=False
)


def _said(*votes: OpenVote):
    resource = GovernanceResource(cast("ChainClient", None), ORCHESTRATOR, every_s=60.0)
    plan = resource.plan(votes)
    (condition,) = plan.conditions
    assert condition.name == "VotesOpen"
    assert not condition.gates_ready
    assert not plan.actions
    assert plan.again.after_s == 60.0
    return condition


def test_plan__nothing_open__is_true():
    assert (_said().status, _said().reason) == (Status.TRUE, "None")


def test_plan__a_vote_that_can_be_cast_and_was_not__is_false_and_says_what_to_do():
    condition = _said(AWAITED)
    assert (condition.status, condition.reason) == (Status.FALSE, "NotVoted")
    assert "proposal 77 (Pay), 3 rounds left, weight 5 LPT" in condition.message
    assert "livefleet chain vote" in condition.message


def test_plan__last_round__says_so():
    assert "this round is the last" in _said(replace(AWAITED, rounds_left=1)).message


@pytest.mark.parametrize(
    ("vote", "reason"),
    [
        (replace(AWAITED, has_voted=True), "Voted"),
        (replace(AWAITED, weight=0), "Voted"),
        (replace(AWAITED, begins_in=2, weight=0), "Coming"),
    ],
    ids=["voted", "without-weight", "not-begun"],
)
def test_plan__a_vote_that_does_not_wait_for_us__is_true(vote, reason):
    condition = _said(vote)
    assert (condition.status, condition.reason) == (Status.TRUE, reason)


def test_plan__many__names_the_first_and_counts_the_rest():
    message = _said(*(replace(AWAITED, id=str(number)) for number in range(5))).message
    assert message.startswith("5 vote(s) wait for")
    assert "proposal 2 " in message
    assert "proposal 3 " not in message
    assert "and 2 more" in message
