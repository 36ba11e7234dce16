"""What operators are told of winning tickets and of leaving the active set."""

import pytest

from livefleet.chain.models import ChainHead
from livefleet.kernel import Address, BlockNumber, Round, Status, Wei
from livefleet.payments import Departure, DepartureKind, Loss, PoolPlace, RedemptionReport, Why
from livefleet.payments.redemption_report import Expiring
from livefleet.reconcile.resources.departure import DepartureObserved, DepartureResource, NothingQuoted
from livefleet.reconcile.resources.redemption import PendingTickets, RedemptionResource
from tests.builders.payments import GATEWAY, OTHER, a_head

pytestmark = pytest.mark.unit


class NoStore:
    pass


def told(count=2, value=24, last=None, losses=(), **fields):
    resource = RedemptionResource(NoStore(), None, every_s=15.0, l1_block_s=12.0)
    plan = resource.plan(PendingTickets(count, value, last or RedemptionReport(), losses, **fields))
    (condition,) = plan.conditions
    assert condition.name == "TicketsRedeemed"
    assert not condition.gates_ready
    return condition, plan


def a_report(**fields):
    report = RedemptionReport()
    for name, value in fields.items():
        setattr(report, name, value)
    return report


def an_expiring(reason, count=1, value=10**16, left=100):
    expiring = Expiring()
    for _ in range(count):
        expiring.add(Wei(value), left, reason)
    return expiring


def a_loss(sender=GATEWAY, reason="ticket is expired", waited_for="gas price is above the limit"):
    return Loss(1.0, Address(sender), Wei(10**16), reason, waited_for)


def test_redeemed__nothing_pending__is_well_and_does_nothing():
    condition, plan = told(count=0)
    assert (condition.status, condition.reason, plan.actions) == (Status.TRUE, "NonePending", ())


def test_redeemed__some_wait__says_why():
    report = a_report(in_flight=1)
    report.waiting["parameters have not expired"] = 1
    condition, plan = told(last=report)
    assert (condition.status, condition.reason) == (Status.TRUE, "Pending")
    assert "1 in a transaction, 1 parameters have not expired" in condition.message
    assert len(plan.actions) == 1


def test_redeemed__stuck_near_the_last_moment__says_how_long_why_and_what_to_do():
    condition, _ = told(last=a_report(expiring=an_expiring("gas price is above the limit", count=2)))
    assert (condition.status, condition.reason) == (Status.FALSE, "ExpiringSoon")
    for words in ("2 winning", "20000000000000000 wei", "100 more L1 blocks (about 20 min)", "urgent_max_gas_price"):
        assert words in condition.message


def test_redeemed__lost_lately__says_what_why_of_whom_how_much_and_what_to_do():
    condition, _ = told(count=0, losses=(a_loss(), a_loss(OTHER, "ticket did not win", "")))
    assert (condition.status, condition.reason) == (Status.FALSE, "Lost")
    for words in (
        "2 winning ticket(s) of 20000000000000000 wei",
        GATEWAY,
        OTHER,
        "1 ticket is expired after waiting (gas price is above the limit)",
        "1 ticket did not win",
        "urgent_max_gas_price",
    ):
        assert words in condition.message


def test_redeemed__the_impossible__is_an_alarm():
    condition, _ = told(last=a_report(alarms=["aa: Panic(0x01)"]))
    assert (condition.status, condition.reason) == (Status.FALSE, "Alarm")
    assert "Panic(0x01)" in condition.message


def test_redeemed__alarm_of_a_ticket_that_is_gone__is_over():
    assert told(count=0, last=a_report(alarms=["aa: Panic(0x01)"]))[0].reason == "NonePending"


def test_why__every_kind__is_a_word_for_a_label():
    assert all(why.value.replace("_", "").isalpha() for why in Why)


# Leaving the active set

HEAD = a_head(round_start_block=BlockNumber(20_999_000), round_length=6377, l1_block=BlockNumber(21_005_300))
END = BlockNumber(20_999_000 + 6377)


class Chain:
    def __init__(self, place):
        self.head = HEAD
        self.found = place
        self.asked = 0

    def __call__(self) -> ChainHead:
        return self.head

    async def place(self):
        self.asked += 1
        return self.found


def a_resource(place=None, *, in_use=True):
    chain = Chain(place or PoolPlace(3000, 3501, is_last_of_full_pool=False))
    expected = []
    return (
        chain,
        expected,
        DepartureResource(chain, chain, NothingQuoted(), in_use=lambda: in_use, expect=expected.append),
    )


def a_departure(kind=DepartureKind.LEAVING):
    return Departure(kind, Round(3500), END, BlockNumber(END - 25))


def test_leaving__before_parameters_end__is_said_and_nothing_is_closed():
    plan = a_resource()[2].plan(DepartureObserved(HEAD, a_departure()))
    (condition,) = plan.conditions
    assert (condition.status, condition.reason, plan.actions) == (Status.FALSE, "Leaving", ())
    for words in ("round 3501", f"{END - HEAD.l1_block} L1 blocks", f"until L1 block {END - 25}", "call reward first"):
        assert words in condition.message


def test_leaving__after_parameters_end__they_are_closed():
    plan = a_resource()[2].plan(DepartureObserved(_at(END - 25), a_departure()))
    assert [action.summary for action in plan.actions] == ["close ticket parameters before round 3500 ends"]
    assert "no more are taken" in plan.conditions[0].message


def test_last_in_pool__is_said_and_nothing_is_closed():
    plan = a_resource()[2].plan(DepartureObserved(_at(END - 3), a_departure(DepartureKind.AT_RISK)))
    (condition,) = plan.conditions
    assert (condition.status, condition.reason, plan.actions) == (Status.UNKNOWN, "LastInPool", ())


def test_staying__says_nothing():
    assert a_resource()[2].plan(DepartureObserved(HEAD, None)).conditions == ()


async def test_observe__not_in_use__asks_nothing():
    chain, expected, resource = a_resource(in_use=False)
    assert (await resource.observe()).departure is None
    assert (chain.asked, expected) == (0, [])


async def test_observe__far_from_the_end__asks_once_an_hour():
    chain, expected, resource = a_resource()
    chain.head = _at(END - 5000)
    assert (await resource.observe()).departure is not None
    assert expected == [END - 4700]
    chain.head = _at(END - 4701)
    await resource.observe()
    assert chain.asked == 1
    chain.head = _at(END - 4700)
    await resource.observe()
    assert chain.asked == 2


async def test_observe__near_the_end__asks_once_an_l1_block():
    chain, expected, resource = a_resource()
    chain.head = _at(END - 90)
    for _ in range(3):
        await resource.observe()
    assert (chain.asked, expected[-1]) == (1, END - 89)
    chain.head = _at(END - 89)
    await resource.observe()
    assert chain.asked == 2


class Quoted:
    """Parameters whose end is set, and that are closed."""

    def __init__(self):
        self.end, self.closed = None, 0

    def end_parameters_at(self, block):
        self.end = block

    async def close_parameters(self):
        self.closed += 1


async def test_hurry__far_from_the_end__is_asked_about_at_once_and_all_is_closed_until_it_is_over():
    chain, quoted, hurry = Chain(PoolPlace(3000, 2**256 - 1, is_last_of_full_pool=True)), Quoted(), False
    resource = DepartureResource(chain, chain, quoted, in_use=lambda: True, hurry=lambda: hurry)
    chain.head = _at(END - 5000)
    await resource.observe()
    assert quoted.end is None
    chain.found, hurry = PoolPlace(3000, 3501, is_last_of_full_pool=True), True
    plan = resource.plan(await resource.observe())
    assert (chain.asked, quoted.end) == (2, END - 5000)
    (action,) = plan.actions
    await resource.apply(action)
    assert quoted.closed == 1
    assert "no more are taken until reward was called" in plan.conditions[0].message
    chain.found, hurry = PoolPlace(3501, 2**256 - 1, is_last_of_full_pool=True), False  # it is back
    plan = resource.plan(await resource.observe())
    assert (chain.asked, quoted.end, plan.actions, plan.conditions) == (3, None, (), ())


async def test_departure__the_round_is_over__is_no_more():
    chain, _, resource = a_resource()
    await resource.observe()
    assert resource.departure is not None
    chain.head = a_head(current_round=Round(3501), round_start_block=END, round_length=6377, l1_block=END)
    assert resource.departure is None


def _at(block):
    return a_head(round_start_block=BlockNumber(20_999_000), round_length=6377, l1_block=BlockNumber(block))
