"""A declared thing as a resource: sent where the node has the key, proposed where it has not, withdrawn when done."""

from dataclasses import dataclass, field

import pytest

from livefleet.chain import Change, DutyPlan, DutyState, Hand, ProposalBox, Reverted, SpendLimit, TransactionOutcome
from livefleet.chain.contracts.bonding_manager import TRANSCODER
from livefleet.kernel import ConditionBoard, Status, Transient, Wei
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import OnChainResource, ProposalsResource
from tests.builders.clock import HandClock
from tests.builders.on_chain import ORCHESTRATOR, a_client

pytestmark = pytest.mark.unit


def a_change(cut=100_000):
    call = a_client().bonding.transcoder_call(reward_cut=cut, fee_share=0)
    return Change(f"round 100 to {cut}", f"set the cut {cut}", call, TRANSCODER)


class Duty:
    topic = "cuts"

    def __init__(self, plan):
        self.decided = plan
        self.asked_for = []

    async def observe(self, max_age_s):
        self.asked_for.append(max_age_s)
        return "seen"

    def plan(self, observed):
        assert observed == "seen"
        return self.decided


@dataclass
class Sender:
    """Transactions as far as a hand uses them."""

    succeeds: bool = True
    refuses: str | None = None
    left_over: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    done: list = field(default_factory=list)
    address = ORCHESTRATOR

    async def latest(self, purpose):
        return next((one for one in self.done if one.purpose == purpose), None)

    async def pending(self):
        return tuple(self.left_over)

    async def send(self, purpose, call, *, limit):
        if self.refuses is not None:
            raise Reverted(self.refuses)
        self.sent.append((purpose, call, limit.max_gas_price))
        self.left_over = [one for one in self.left_over if one.purpose != purpose]
        return TransactionOutcome(b"\x01" * 32, self.succeeds, 21_000, Wei(1), 1, ())


@dataclass
class LeftOver:
    purpose: str
    call: object


CHANGING = DutyPlan(DutyState.CHANGING, "Changing", "10% now", (a_change(),))


class Setting:
    def __init__(self, tmp_path, sender, plan):
        self.clock = HandClock()
        self.board = ConditionBoard(self.clock)
        self.box = ProposalBox(tmp_path)
        self.sender = sender
        self.forgotten = 0
        self.duty = Duty(plan)
        hand = Hand(
            ORCHESTRATOR,
            sender,
            self.box,
            chain_id=1337,
            clock=self.clock,
            limit=SpendLimit(max_gas_price=Wei(7)),
            sent=self._forget,
        )
        self.loop = ReconcileLoop(OnChainResource(self.duty, hand, condition="CutsInStep"), self.board)

    def _forget(self):
        self.forgotten += 1

    def condition(self, name="CutsInStep"):
        return next(c for c in self.board.all() if c.name == name)


async def test_own_key__change__is_sent_within_the_limit_and_read_back_soon(tmp_path):
    setting = Setting(tmp_path, Sender(), CHANGING)

    again_s = await setting.loop.once()

    assert [(purpose, price) for purpose, _, price in setting.sender.sent] == [("cuts round 100 to 100000", 7)]
    assert setting.forgotten == 1
    assert again_s <= 5
    assert setting.box.open() == ()


async def test_no_key__change__stands_as_one_proposal_until_it_is_not_needed(tmp_path):
    setting = Setting(tmp_path, None, CHANGING)
    for _ in range(3):
        setting.clock.time += 60
        await setting.loop.once()
    (proposal,) = setting.box.open()
    assert (proposal.signer, proposal.made_at, proposal.calls[0].call()) == (
        ORCHESTRATOR,
        1_000_060.0,
        a_change().call,
    )
    assert "livefleet chain pending" in setting.condition().message

    setting.duty.decided = DutyPlan(DutyState.IN_STEP, "InStep", "10% now")
    await setting.loop.once()

    assert setting.box.open() == ()
    assert setting.condition().status is Status.TRUE


async def test_no_key__another_change_is_wanted__replaces_the_proposal(tmp_path):
    setting = Setting(tmp_path, None, CHANGING)
    await setting.loop.once()
    setting.duty.decided = DutyPlan(DutyState.CHANGING, "Changing", "more", (a_change(200_000),))
    await setting.loop.once()

    assert [p.calls[0].arguments for p in setting.box.open()] == [("200000", "0")]


async def test_own_key__left_over_from_an_earlier_life__is_finished_before_anything_new_is_sent(tmp_path):
    old = LeftOver("cuts round 99 to 90000", object())
    setting = Setting(tmp_path, Sender(left_over=[LeftOver("cutsother x", object()), old]), CHANGING)

    await setting.loop.once()
    assert [purpose for purpose, *_ in setting.sender.sent] == [old.purpose]

    await setting.loop.once()
    assert [purpose for purpose, *_ in setting.sender.sent] == [old.purpose, "cuts round 100 to 100000"]


@pytest.mark.parametrize(
    ("sender", "words"),
    [
        (Sender(refuses="transcoder must be registered"), "the contract refuses: transcoder must be registered"),
        (Sender(succeeds=False), "was mined and reverted"),
    ],
)
async def test_own_key__does_not_work__is_tried_again_later_and_says_why(tmp_path, sender, words):
    setting = Setting(tmp_path, sender, CHANGING)

    with pytest.raises(Transient, match=words) as caught:
        await setting.loop.once()

    assert caught.value.retry_after_s == 60.0
    assert setting.forgotten == 1


async def test_own_key__two_changes__the_second_is_decided_anew_once_the_first_was_sent(tmp_path):
    plan = DutyPlan(DutyState.CHANGING, "Changing", "both", (a_change(1), a_change(2)))
    setting = Setting(tmp_path, Sender(), plan)

    await setting.loop.once()

    assert [purpose for purpose, *_ in setting.sender.sent] == ["cuts round 100 to 1"]


@dataclass
class Done:
    purpose: str
    signed_at: float
    succeeded: bool = True

    @property
    def outcome(self):
        return TransactionOutcome(b"\x01" * 32, self.succeeded, 21_000, Wei(1), 1, ())

    @property
    def attempts(self):
        return (self,)


async def test_own_key__mined_a_moment_ago_and_an_endpoint_does_not_show_it__is_not_sent_twice(tmp_path):
    sender = Sender(done=[Done("cuts round 100 to 100000", signed_at=1_000_000.0)])
    setting = Setting(tmp_path, sender, CHANGING)

    setting.clock.time = 1_000_119.0
    with pytest.raises(Transient, match="does not show it yet"):
        await setting.loop.once()
    assert sender.sent == []

    setting.clock.time = 1_000_121.0
    await setting.loop.once()
    assert len(sender.sent) == 1


async def test_own_key__same_change_failed_a_moment_ago__is_tried_again(tmp_path):
    sender = Sender(done=[Done("cuts round 100 to 100000", signed_at=1_000_000.0, succeeded=False)])
    setting = Setting(tmp_path, sender, CHANGING)

    await setting.loop.once()

    assert len(sender.sent) == 1


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (DutyState.IN_STEP, Status.TRUE),
        (DutyState.WAITING, Status.UNKNOWN),
        (DutyState.BLOCKED, Status.FALSE),
    ],
)
async def test_condition__tells_how_things_stand_and_keeps_nobody_from_being_ready(tmp_path, state, status):
    setting = Setting(tmp_path, Sender(), DutyPlan(state, "Word", "a sentence"))

    await setting.loop.once()

    condition = setting.condition()
    assert (condition.status, condition.reason, condition.message) == (status, "Word", "a sentence")
    assert not condition.gates_ready


async def test_idle__next_look__may_use_what_another_duty_read_lately(tmp_path):
    setting = Setting(tmp_path, Sender(), DutyPlan(DutyState.IN_STEP, "InStep", "", again_after_s=600.0))

    await setting.loop.once()
    await setting.loop.once()

    assert setting.duty.asked_for == [0.0, pytest.approx(570.0)]


async def test_proposals_open__some_stand__is_said_with_their_titles(tmp_path):
    setting = Setting(tmp_path, None, CHANGING)
    loop = ReconcileLoop(ProposalsResource(setting.box), setting.board)
    await loop.once()
    assert setting.condition("ProposalsOpen").status is Status.TRUE

    await setting.loop.once()
    await loop.once()

    condition = setting.condition("ProposalsOpen")
    assert (condition.status, condition.gates_ready) == (Status.FALSE, False)
    assert "1 proposal(s) wait for a signature" in condition.message
    assert "set the cut 100000" in condition.message
