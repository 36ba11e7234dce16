"""Which tickets go, in which transactions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Address, Wei
from livefleet.payments.decision import Wait, Why
from livefleet.payments.redemption_gas import RedemptionGas, batch_gas_limit, single_gas_limit
from livefleet.payments.redemption_plan import Due, Purse, SenderFunds, plan_redemptions
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.payments.ticket import WinningTicket
from livefleet.spec import BatchMode
from tests.builders.payments import GATEWAY, ORCHESTRATOR, OTHER, a_ticket

pytestmark = pytest.mark.unit

GAS = 200_000
FACE = 1000 * GAS  # wei; at a gas price of 1 redemption takes a thousandth
RICH = SenderFunds(Wei(100 * FACE), Wei(100 * FACE))


def a_due(nonce=1, *, face=FACE, urgent=False, estimate=GAS, sender=GATEWAY, blocks_left=6000):
    winner = WinningTicket(a_ticket(sender_nonce=nonce, face_value=Wei(face), sender=sender), b"", 7, 0)
    return Due(winner, estimate, urgent, blocks_left)


def planned(due, funds=RICH, *, price=1, policy=None, gas=None, alone=()):
    senders = {one.winner.ticket.sender for one in due}
    funds = funds if isinstance(funds, dict) else {(sender, ORCHESTRATOR): funds for sender in senders}
    return plan_redemptions(
        due,
        Purse(funds),
        policy=policy or RedemptionPolicy(),
        gas=gas or RedemptionGas(),
        gas_price=Wei(price),
        alone=alone,
    )


def nonces(plan):
    return [[winner.ticket.sender_nonce for winner in sending.winners] for sending in plan.sendings]


def whys(plan):
    return sorted(wait.why for wait in plan.waits.values())


def test_plan__one__goes_alone_with_a_margin_over_its_estimate():
    plan = planned([a_due()])
    (sending,) = plan.sendings
    assert (sending.gas, sending.paid, plan.waits) == (single_gas_limit(GAS), FACE, {})
    assert sending.gas == GAS * 5 // 4


def test_plan__several__go_together_at_the_sum_of_estimates():
    (sending,) = planned([a_due(n) for n in (1, 2, 3)]).sendings
    assert sending.gas == batch_gas_limit([GAS] * 3, claims=0)
    assert sending.gas > 3 * GAS - 2 * 21_000
    assert sending.paid == 3 * FACE


def test_plan__a_ticket_needs_the_reserve_only_after_others__its_claim_has_gas_too():
    funds = SenderFunds(Wei(FACE), Wei(FACE))
    (sending,) = planned([a_due(1), a_due(2)], funds).sendings
    assert sending.gas == batch_gas_limit([GAS] * 2, claims=1) > batch_gas_limit([GAS] * 2, claims=0)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(BatchMode.NEVER, [[1], [2], [3]]), (BatchMode.ALWAYS, [[1, 2, 3]]), (BatchMode.AUTO, [[1, 2, 3]])],
)
def test_plan__batch_mode__is_kept(mode, expected):
    assert nonces(planned([a_due(n) for n in (1, 2, 3)], policy=RedemptionPolicy(batch=mode))) == expected


def test_plan__batches_were_seen_to_take_more__auto_sends_singly():
    gas = RedemptionGas()
    for _ in range(20):
        gas.learn([GAS, GAS, GAS], 5 * GAS)
    due = [a_due(n) for n in (1, 2, 3)]
    assert nonces(planned(due, gas=gas)) == [[1], [2], [3]]
    assert nonces(planned(due, gas=gas, policy=RedemptionPolicy(batch=BatchMode.ALWAYS))) == [[1, 2, 3]]


def test_plan__more_than_a_batch_holds__is_cut():
    policy = RedemptionPolicy(max_batch=2)
    assert nonces(planned([a_due(n) for n in range(5)], policy=policy)) == [[0, 1], [2, 3], [4]]


def test_plan__gas_of_a_block_is_scarce__batches_stay_below():
    sendings = planned([a_due(n, estimate=2_000_000) for n in range(12)]).sendings
    assert len(sendings) > 1
    assert all(sending.gas <= 15_000_000 for sending in sendings)


def test_plan__failed_in_a_batch_before__goes_alone():
    due = [a_due(n) for n in (1, 2, 3)]
    assert nonces(planned(due, alone={due[1].winner.ticket.hash})) == [[1, 3], [2]]


def test_plan__urgent_ones__go_first_and_apart_with_their_own_limits():
    policy = RedemptionPolicy(max_gas_price=Wei(7), urgent_max_gas_price=Wei(70))
    plan = planned([a_due(1), a_due(2, urgent=True)], policy=policy)
    assert nonces(plan) == [[2], [1]]
    urgent, patient = plan.sendings
    assert (urgent.limit.max_gas_price, patient.limit.max_gas_price) == (70, 7)
    # Limits are on gas used: what the transaction may cost at its whole gas limit is as much higher.
    assert urgent.limit.max_cost == (FACE - 1) * 5 // 4
    assert patient.limit.max_cost == FACE // 4 * 5 // 4


def test_plan__funds_reach_for_some__the_next_is_not_burnt():
    plan = planned([a_due(n) for n in (1, 2, 3, 4)], SenderFunds(Wei(2 * FACE), Wei(FACE)))
    assert nonces(plan) == [[1, 2, 3]]
    assert whys(plan) == [Why.FUNDS]


def test_plan__one_sender_is_broke__others_are_not_held_up():
    other = Address(OTHER)
    funds = {(GATEWAY, ORCHESTRATOR): SenderFunds(Wei(0), Wei(0)), (other, ORCHESTRATOR): RICH}
    plan = planned([a_due(1), a_due(2, sender=other)], funds)
    assert nonces(plan) == [[2]]
    assert whys(plan) == [Why.FUNDS]


def test_plan__reserve_share_shrank__tickets_within_the_deposit_go():
    plan = planned([a_due(1), a_due(2)], SenderFunds(Wei(FACE), None))
    assert nonces(plan) == [[1]]
    assert whys(plan) == [Why.RESERVE_SHARE]


def test_plan__more_than_the_share_of_what_it_pays__waits_while_there_is_time():
    price = 300  # of 1000: gas takes 30 %
    patient = planned([a_due(1)], price=price)
    assert list(patient.waits.values()) == [
        Wait(Why.COST, "gas would take more than the declared share of what the ticket pays")
    ]
    assert nonces(planned([a_due(1, urgent=True)], price=price)) == [[1]]


def test_plan__costs_what_it_pays__is_never_sent():
    assert planned([a_due(1, urgent=True)], price=1000).sendings == ()
    assert nonces(planned([a_due(1, urgent=True)], price=999)) == [[1]]


def test_plan__too_dear_alone_but_not_together__goes_together():
    price = 400  # 40 % alone; a batch of ten takes less than half the gas a ticket
    due = [a_due(n) for n in range(10)]
    policy = RedemptionPolicy(max_cost_share=RedemptionPolicy().max_cost_share)
    assert nonces(planned(due, price=price, policy=policy)) == [list(range(10))]
    assert nonces(planned(due[:1], price=price, policy=policy)) == []


def test_plan__a_small_ticket_does_not_pay__its_funds_go_to_the_next():
    due = [a_due(1, face=10), a_due(2, face=FACE)]
    plan = planned(due, SenderFunds(Wei(FACE), Wei(0)))
    assert nonces(plan) == [[2]]
    assert plan.sendings[0].paid == FACE
    assert [wait.text for wait in plan.waits.values()] == ["pays less than its transaction costs"]


def test_plan__short_of_funds_and_so_not_worth_it__says_whose_fault_it_is():
    plan = planned([a_due(1)], SenderFunds(Wei(10), Wei(0)))
    assert list(plan.waits.values()) == [
        Wait(Why.FUNDS, "pays less than its transaction costs, as the sender's funds do not reach")
    ]


def contract_pays(winners, funds):
    """What TicketBroker pays one ticket after another, in its own terms."""
    left, paid = dict(funds), []
    for winner in winners:
        ticket = winner.ticket
        key = (ticket.sender, ticket.recipient)
        have = left[key]
        deposit = min(ticket.face_value, have.deposit)
        rest = ticket.face_value - deposit
        claimed = min(rest, have.claimable)
        left[key] = replace(have, deposit=Wei(have.deposit - deposit), claimable=Wei(have.claimable - claimed))
        paid.append(deposit + claimed)
    return paid


amounts = st.integers(0, 5 * FACE)
tickets = st.lists(
    st.tuples(st.integers(1, 3 * FACE), st.sampled_from([GATEWAY, Address(OTHER)]), st.booleans()), max_size=12
)


@given(
    wanted=tickets,
    deposits=st.tuples(amounts, amounts),
    shares=st.tuples(amounts, amounts),
    price=st.integers(1, 1500),
    mode=st.sampled_from(BatchMode),
)
def test_plan__whatever_there_is__each_ticket_goes_or_waits_once_and_none_is_at_a_loss(
    wanted, deposits, shares, price, mode
):
    due = [a_due(n, face=face, sender=sender, urgent=urgent) for n, (face, sender, urgent) in enumerate(wanted)]
    funds = {
        (sender, ORCHESTRATOR): SenderFunds(Wei(deposit), Wei(share))
        for sender, deposit, share in zip((GATEWAY, Address(OTHER)), deposits, shares, strict=True)
    }
    gas = RedemptionGas()
    plan = planned(due, funds, price=price, policy=RedemptionPolicy(batch=mode), gas=gas)

    sent = [winner for sending in plan.sendings for winner in sending.winners]
    hashes = [winner.ticket.hash for winner in sent]
    assert sorted([*hashes, *plan.waits]) == sorted(one.winner.ticket.hash for one in due)
    # In whatever order transactions are mined, a sender's tickets together are paid what was reckoned.
    assert sum(contract_pays(sent, funds)) == sum(sending.paid for sending in plan.sendings)
    for sending in plan.sendings:
        estimates = sending.estimates
        used = gas.single(estimates[0]) if len(estimates) == 1 else gas.batch(estimates)
        assert used * price < sending.paid
        assert len({one.urgent for one in due if one.winner in sending.winners}) == 1
