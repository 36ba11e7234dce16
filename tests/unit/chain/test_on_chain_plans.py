"""Declared state beside the cuts: what is sent, what is waited for, what somebody has to do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import (
    ActivationDuty,
    Cuts,
    DutyState,
    FeesWithdrawalDuty,
    RewardCallerDuty,
    SelfStakeDuty,
    ServiceUriDuty,
    StakeTransferDuty,
)
from livefleet.chain.contracts.bonding_manager import BOND_WITH_HINT, TRANSFER_BOND, Delegator
from livefleet.chain.fees_withdrawal import FeesObserved, shares
from livefleet.chain.pool import PoolMember
from livefleet.chain.proposal import proposed_call
from livefleet.chain.self_stake import StakeObserved
from livefleet.chain.stake_transfer import TransferFacts, TransferObserved
from livefleet.kernel import ZERO_ADDRESS, Address, BadInput, BlockNumber, Round, Wei
from tests.builders.on_chain import LPT, ORCHESTRATOR, OTHER, a_client, a_reader, a_state, nobody, some_facts

pytestmark = pytest.mark.unit

COLD = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
ETH = 10**18


def titles(plan):
    return [change.title for change in plan.changes]


def arguments(change):
    return proposed_call(change.call, change.function).arguments


# Service URIs


def test_service_uri__differs__is_written_exactly_as_declared():
    duty = ServiceUriDuty(a_reader(), a_client().services, "https://o.example:8935/")

    plan = duty.plan(a_state(service_uri="https://old.example:8935"))

    assert arguments(plan.changes[0]) == ("https://o.example:8935/",)


@pytest.mark.parametrize("found", ["https://o.example:8935", "HTTPS://O.EXAMPLE:8935/", "https://o.example:8935/"])
def test_service_uri__the_same_place_in_other_words__is_in_step(found):
    duty = ServiceUriDuty(a_reader(), a_client().services, "https://o.example:8935")

    assert duty.plan(a_state(service_uri=found)).state is DutyState.IN_STEP


def test_service_uri__for_ai__looks_at_the_other_registry():
    duty = ServiceUriDuty(a_reader(), a_client().ai_services, "https://ai.example:8936", is_ai=True)

    plan = duty.plan(a_state(service_uri="https://ai.example:8936", ai_service_uri=""))

    assert titles(plan) == ["register the AI service URI https://ai.example:8936"]


def test_service_uri__paused_and_locked__is_registered_all_the_same():
    duty = ServiceUriDuty(a_reader(), a_client().services, "https://o.example:8935")

    assert duty.plan(nobody(paused=True, last_initialized_round=3, l1_block=5049)).changes


def test_service_uri__chain_without_an_ai_registry__says_so():
    duty = ServiceUriDuty(a_reader(), None, "https://ai.example:8936", is_ai=True)

    assert (duty.plan(a_state()).state, duty.plan(a_state()).reason) == (DutyState.BLOCKED, "NoRegistry")


@pytest.mark.parametrize("uri", ["https://0.0.0.0:8935", "https://", "a.example:8935", "", "https://[::]:8935"])
def test_service_uri__that_leads_nowhere__is_refused(uri):
    with pytest.raises(BadInput, match="names no host"):
        ServiceUriDuty(a_reader(), a_client().services, uri)


# Reward caller


@pytest.mark.parametrize(
    ("found", "declared", "expected"),
    [
        (ZERO_ADDRESS, COLD, [f"let {COLD} call reward"]),
        (OTHER, ZERO_ADDRESS, ["let nobody call reward"]),
        (COLD, COLD, []),
        (ZERO_ADDRESS, ZERO_ADDRESS, []),
    ],
)
def test_reward_caller__declared_against_found(found, declared, expected):
    plan = RewardCallerDuty(a_reader(), declared).plan(a_state(reward_caller=found))

    assert titles(plan) == expected


def test_reward_caller__contract_from_before_lip_118__is_told_and_nothing_sent():
    plan = RewardCallerDuty(a_reader(), COLD).plan(a_state(reward_caller=None))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.BLOCKED, "NotSupported", ())


def test_reward_caller__nobody_declared_on_such_a_contract__is_in_step():
    assert RewardCallerDuty(a_reader(), ZERO_ADDRESS).plan(a_state(reward_caller=None)).state is DutyState.IN_STEP


def test_reward_caller__paused__waits():
    plan = RewardCallerDuty(a_reader(), COLD).plan(a_state(reward_caller=OTHER, paused=True))

    assert (plan.state, plan.changes) == (DutyState.WAITING, ())


# Own stake


def test_self_stake__short__approves_exactly_and_bonds_with_the_new_neighbours():
    ahead, behind = PoolMember(OTHER, 1800 * LPT), PoolMember(COLD, 1600 * LPT)
    facts = some_facts(pool=(ahead, behind, PoolMember(ORCHESTRATOR, 1500 * LPT)))

    plan = SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(a_state(), facts))

    approve, bond = plan.changes
    assert approve.call.to == a_client().token.address
    assert arguments(approve) == (a_client().bonding.address, str(200 * LPT))
    assert bond.function is BOND_WITH_HINT
    assert arguments(bond) == (str(200 * LPT), ORCHESTRATOR, ZERO_ADDRESS, ZERO_ADDRESS, OTHER, COLD)


def test_self_stake__approved_before_a_crash__only_bonds():
    plan = SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(a_state(), some_facts(allowance=200 * LPT)))

    assert titles(plan) == [f"bond 200 LPT to {ORCHESTRATOR}"]


def test_self_stake__more_than_the_minimum__is_left_alone():
    assert SelfStakeDuty(a_reader(), 10 * LPT).plan(StakeObserved(a_state(), None)).state is DutyState.IN_STEP


EVICTED = {"deactivation_round": 101, "last_reward_round": 100}


@pytest.mark.parametrize(
    ("first", "blocks", "changes", "reason"),
    [
        ("2 tickets", 500, EVICTED, "RedeemFirst"),
        ("", 500, EVICTED, "Short"),
        ("2 tickets", 901, EVICTED, "Short"),  # few blocks are left: staying in the pool comes first
        ("2 tickets", 500, {}, "Short"),  # in the pool, where more stake ends nothing
    ],
)
def test_self_stake__evicted_with_tickets_to_redeem__waits_for_them_while_there_is_time(first, blocks, changes, reason):
    state = a_state(**changes)
    head = replace(state.head, l1_block=BlockNumber(blocks), round_start_block=BlockNumber(0), round_length=1000)

    duty = SelfStakeDuty(a_reader(), 1200 * LPT, first=lambda: first)
    plan = duty.plan(StakeObserved(replace(state, head=head), some_facts()))

    assert plan.reason == reason
    assert bool(plan.changes) is (reason == "Short")


def test_self_stake__bonded_to_somebody_else__is_reported_and_not_moved():
    state = a_state(delegate_address=OTHER, stake=5 * LPT)

    plan = SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(state, some_facts()))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.BLOCKED, "DelegatedElsewhere", ())
    assert OTHER in plan.message


def test_self_stake__account_has_too_little_lpt__says_how_much_is_missing():
    plan = SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(a_state(), some_facts(lpt=150 * LPT)))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.BLOCKED, "TooLittleLpt", ())
    assert "send it 50 LPT" in plan.message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"paused": True}, "Paused"),
        ({"last_initialized_round": 99}, "RoundNotInitialized"),
        ({"deactivation_round": 101, "last_reward_round": 99}, "RewardFirst"),
    ],
)
def test_self_stake__not_now__waits(changes, reason):
    plan = SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(a_state(**changes), some_facts()))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.WAITING, reason, ())


def test_self_stake__evicted_and_reward_called__bonds():
    state = a_state(deactivation_round=101)

    assert SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(state, some_facts())).changes


def test_self_stake__no_orchestrator_yet__makes_none_by_the_way():
    plan = SelfStakeDuty(a_reader(), 1200 * LPT).plan(StakeObserved(nobody(), None))

    assert (plan.reason, plan.changes) == ("NotRegistered", ())


# Activation


def an_activation(**changes):
    facts = {
        "cuts": Cuts(100_000, 950_000),
        "stake": 1000 * LPT,
        "service_uri": "https://o.example:8935",
        "ai_service_uri": None,
        "l1_block_s": 12.0,
    }
    return ActivationDuty(a_reader(), **(facts | changes))


def test_activation__nobody_yet__approves_bonds_and_sets_cuts_in_this_order():
    plan = an_activation().plan(StakeObserved(nobody(), some_facts()))

    assert titles(plan) == [
        "let the BondingManager take 1000 LPT",
        f"bond 1000 LPT to {ORCHESTRATOR}",
        "set reward cut 10%, fee cut 5%",
    ]


def test_activation__bonded_before_a_crash__sets_the_cuts():
    state = a_state(reward_cut=0, fee_share=0, last_reward_round=0, activation_round=101)

    plan = an_activation().plan(StakeObserved(state, None))

    assert titles(plan) == ["set reward cut 10%, fee cut 5%"]


def test_activation__all_set__is_active_next_round_once_the_uri_is_read_back():
    state = a_state(reward_cut=100_000, fee_share=950_000, last_reward_round=0, activation_round=101)

    waits = an_activation().plan(StakeObserved(state, None))
    done = an_activation().plan(StakeObserved(replace(state, service_uri="https://o.example:8935"), None))

    assert (waits.state, waits.message) == (
        DutyState.WAITING,
        "bonded and active from round 101 on; not as declared yet: service URI",
    )
    assert (done.state, done.reason) == (DutyState.IN_STEP, "ActiveNextRound")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"l1_block": 5046}, "Locked"), ({"l1_block": 5042}, "Locked"), ({"paused": True}, "Paused")],
)
def test_activation__first_cuts_could_not_be_set_any_more__does_not_bond(changes, reason):
    plan = an_activation().plan(StakeObserved(nobody(**changes), some_facts()))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.WAITING, reason, ())


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        (some_facts(eth=Wei(10**14)), "TooLittleEth", "holds 0.0001 ETH"),
        (some_facts(lpt=999 * LPT), "TooLittleLpt", "send it 1 LPT"),
        (
            some_facts(pool=(PoolMember(OTHER, 2000 * LPT), PoolMember(COLD, 1000 * LPT)), pool_max_size=2),
            "PoolFull",
            "pool full: 1 LPTU missing",
        ),
    ],
)
def test_activation__would_not_work__says_what_is_missing(facts, reason, words):
    plan = an_activation().plan(StakeObserved(nobody(), facts))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.BLOCKED, reason, ())
    assert words in plan.message


def test_activation__fell_out_of_the_pool_and_outweighs_its_tail__comes_back_with_its_own_cuts():
    state = a_state(deactivation_round=90, reward_cut=300_000)
    facts = some_facts(pool=(PoolMember(OTHER, 1400 * LPT),), pool_max_size=1)

    assert titles(an_activation().plan(StakeObserved(state, facts))) == ["set reward cut 30%, fee cut 50%"]


def test_activation__fell_out_and_the_tail_is_heavier__says_the_lptu_missing():
    state = a_state(deactivation_round=90)
    facts = some_facts(pool=(PoolMember(OTHER, 1500 * LPT),), pool_max_size=1)

    plan = an_activation().plan(StakeObserved(state, facts))

    assert (plan.reason, plan.changes) == ("PoolFull", ())
    assert "out of the pool: 1 LPTU missing" in plan.message


def test_activation__evicted_but_still_working__waits_for_the_round_to_end():
    plan = an_activation().plan(StakeObserved(a_state(deactivation_round=101), some_facts()))

    assert (plan.reason, plan.changes) == ("Leaving", ())


# Fees


@given(
    fees=st.integers(0, 10**20),
    balance=st.integers(0, 10**19),
    keep=st.integers(0, 10**19),
    unit=st.integers(1, 10**18),
)
def test_shares__any_amounts__never_exceed_the_fees_and_fill_the_account_first(fees, balance, keep, unit):
    own, rest = shares(fees=fees, balance=balance, keep=keep, unit=unit)

    assert own >= 0
    assert rest >= 0
    assert own + rest <= fees
    assert fees - own - rest < unit
    assert own == 0 or balance + own <= keep
    assert rest == 0 or 2 * (balance + own) >= keep


def a_withdrawal(**changes):
    facts = {"recipient": COLD, "above": ETH // 5, "keep": ETH // 50}
    return FeesWithdrawalDuty(a_reader(), **(facts | changes))


def test_fees__above_the_threshold__fills_the_account_and_sends_the_rest_away():
    plan = a_withdrawal().plan(FeesObserved(a_state(fees=Wei(ETH)), Wei(ETH // 200)))

    missing = ETH // 50 - ETH // 200
    assert [arguments(change) for change in plan.changes] == [
        (ORCHESTRATOR, str(missing)),
        (COLD, str(ETH - missing)),
    ]


def test_fees__account_holds_more_than_half_of_what_it_keeps__all_go_out():
    plan = a_withdrawal().plan(FeesObserved(a_state(fees=Wei(ETH)), Wei(ETH // 100)))

    assert [arguments(change) for change in plan.changes] == [(COLD, str(ETH))]


def test_fees__below_the_threshold__are_left():
    assert a_withdrawal().plan(FeesObserved(a_state(fees=Wei(ETH // 5 - 1)))).state is DutyState.IN_STEP


def test_fees__recipient_cannot_be_paid__is_told_and_nothing_sent():
    plan = a_withdrawal().plan(FeesObserved(a_state(fees=Wei(ETH)), Wei(ETH), "it gives no reason"))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.BLOCKED, "Refused", ())
    assert "2300 gas" in plan.message


def test_fees__amount_for_a_proposal__is_rounded_so_that_it_stands_for_a_while():
    duty = a_withdrawal(unit=ETH // 50)

    first, second = (duty.plan(FeesObserved(a_state(fees=Wei(ETH + more)), Wei(ETH))) for more in (1, 10**10))

    assert first.changes[0].call == second.changes[0].call


# Stake transfer


def a_transfer(**changes):
    facts = {"receiver": COLD, "above": 100 * LPT, "keep": 800 * LPT}
    return StakeTransferDuty(a_reader(), **(facts | changes))


def a_receiver(delegate=ZERO_ADDRESS, last_claim=0):
    return Delegator(0, Wei(0), delegate, 0, Round(0), Round(last_claim))


def test_transfer__enough_over_what_stays__moves_exactly_the_surplus():
    members = (PoolMember(OTHER, 1400 * LPT), PoolMember(ORCHESTRATOR, 1500 * LPT))

    plan = a_transfer().plan(TransferObserved(a_state(), TransferFacts(a_receiver(), members, 100)))

    (change,) = plan.changes
    assert change.function is TRANSFER_BOND
    assert arguments(change) == (COLD, str(200 * LPT), OTHER, ZERO_ADDRESS, ZERO_ADDRESS, OTHER)


@given(stake=st.integers(0, 5000 * LPT), keep=st.integers(0, 3000 * LPT), above=st.integers(0, 500 * LPT))
def test_transfer__any_stake__never_goes_below_what_stays(stake, keep, above):
    duty = a_transfer(keep=keep, above=above)

    plan = duty.plan(TransferObserved(a_state(stake=stake), TransferFacts(a_receiver(), (), 100)))

    moved = sum(int(arguments(change)[1]) for change in plan.changes)
    assert moved == 0 or (stake - moved >= keep and moved >= above)


def test_transfer__evicted_this_round__waits_for_the_round_to_end():
    state = a_state(deactivation_round=101)

    plan = a_transfer().plan(TransferObserved(state, TransferFacts(a_receiver(), (), 100)))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.WAITING, "Leaving", ())


def test_transfer__receiver_bonded_to_another__is_told_and_not_done():
    plan = a_transfer().plan(TransferObserved(a_state(), TransferFacts(a_receiver(OTHER), (), 100)))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.BLOCKED, "ReceiverElsewhere", ())


def test_transfer__reward_not_called_and_receiver_has_not_claimed__waits_for_reward():
    state = a_state(last_reward_round=99)
    facts = TransferFacts(a_receiver(ORCHESTRATOR, last_claim=99), (), 100)

    plan = a_transfer().plan(TransferObserved(state, facts))

    assert (plan.state, plan.reason, plan.changes) == (DutyState.WAITING, "RewardFirst", ())
