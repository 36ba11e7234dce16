"""Cuts go to what is declared in bounded steps, and only when the chain takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import Cuts, CutsDuty, DutyState
from livefleet.chain.contracts.bonding_manager import TRANSCODER
from livefleet.chain.cuts import CutsObserved, next_cut
from tests.builders.on_chain import a_reader, a_state, nobody

pytestmark = pytest.mark.unit

parts = st.integers(0, 1_000_000)


def a_duty(**changes):
    facts = {"reward_cut": 200_000, "fee_cut": None, "max_change": 50_000, "l1_block_s": 12.0}
    return CutsDuty(a_reader(), **(facts | changes))


def the_step(plan):
    (change,) = plan.changes
    return TRANSCODER.encode(*_arguments(change)) == change.call.data and Cuts(*_arguments(change))


def _arguments(change):
    data = change.call.data[4:]
    return int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big")


@given(now=parts, declared=parts, max_change=st.integers(1, 1_000_000))
def test_next_cut__round_after_round__arrives_by_steps_no_larger_than_allowed(now, declared, max_change):
    rounds = 0
    while now != declared and rounds <= 40:  # one that came near enough at the first step has 40 more
        after = next_cut(now=now, at_round_start=now, declared=declared, max_change=max_change)
        assert 0 < abs(after - now) <= max_change
        assert abs(declared - after) < abs(declared - now)
        assert next_cut(now=after, at_round_start=now, declared=declared, max_change=max_change) == after
        now, rounds = after, rounds + 1
        if abs(declared - now) > 40 * max_change:
            return
    assert now == declared


@given(now=parts, start=parts, declared=parts, max_change=st.integers(1, 1_000_000))
def test_next_cut__changed_by_hand_meanwhile__never_goes_away_from_the_declared_one(now, start, declared, max_change):
    after = next_cut(now=now, at_round_start=start, declared=declared, max_change=max_change)

    assert min(now, declared) <= after <= max(now, declared)


def test_plan__as_declared__is_in_step():
    plan = a_duty(reward_cut=100_000, fee_cut=500_000).plan(CutsObserved(a_state(), None))

    assert (plan.state, plan.changes) == (DutyState.IN_STEP, ())


def test_plan__far_from_declared__goes_one_step_and_says_what_follows():
    plan = a_duty(reward_cut=230_000).plan(CutsObserved(a_state(), Cuts(100_000, 500_000)))

    assert the_step(plan) == Cuts(150_000, 500_000)
    assert "reward cut 10%, fee cut 50%; declared: reward cut 23%" in plan.message
    assert "now reward cut 15%, fee cut 50%, which earns from round 101 on" in plan.message
    assert "then reward cut 20%, fee cut 50%, and so on: 2 more rounds" in plan.message


def test_plan__fee_cut__is_the_inverse_of_what_the_chain_holds():
    plan = a_duty(reward_cut=None, fee_cut=520_000).plan(CutsObserved(a_state(), Cuts(100_000, 500_000)))

    assert the_step(plan) == Cuts(100_000, 480_000)


def test_plan__step_of_this_round_done__waits_for_the_next_and_says_when():
    state = a_state(reward_cut=150_000)

    plan = a_duty().plan(CutsObserved(state, Cuts(100_000, 500_000)))

    assert (plan.state, plan.reason) == (DutyState.WAITING, "NextRound")
    assert "next: reward cut 20%, fee cut 50% in round 101, from L1 block 5050 (in about 6 min)" in plan.message


def test_plan__new_orchestrator__sets_its_first_cuts_at_once():
    state = a_state(reward_cut=0, fee_share=0, last_reward_round=0, activation_round=101)

    plan = a_duty(reward_cut=900_000, fee_cut=100_000).plan(CutsObserved(state, None))

    assert the_step(plan) == Cuts(900_000, 900_000)


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (a_state(paused=True), "Paused", "paused"),
        (a_state(last_initialized_round=99), "RoundNotInitialized", "initialises round 100"),
        (a_state(last_reward_round=99), "RewardFirst", "once reward was called in round 100"),
        (a_state(l1_block=5045), "Locked", "locked since L1 block 5045; it goes on in round 101, from L1 block 5050"),
        (a_state(l1_block=5049), "Locked", "locked"),
        (a_state(deactivation_round=101), "Leaving", "evicted"),
        (nobody(), "NotRegistered", "not bonded"),
    ],
)
def test_plan__not_now__says_why_and_sends_nothing(state, reason, words):
    plan = a_duty().plan(CutsObserved(state, None))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.WAITING, reason, ())
    assert words in plan.message


def test_plan__one_block_before_the_lock__sends():
    assert a_duty().plan(CutsObserved(a_state(l1_block=5044), None)).changes


def test_plan__inactive_and_no_reward_this_round__sends():
    state = a_state(last_reward_round=90, deactivation_round=95)

    assert a_duty().plan(CutsObserved(state, None)).changes
