"""The redeemer over a real store and a chain that answers as told."""

import asyncio

import pytest

from livefleet.chain import FeeTooHigh, OutOfFunds, Reverted, SpendLimit
from livefleet.kernel import BlockNumber, Round, Status, Transient, Wei
from livefleet.payments import (
    Departure,
    DepartureKind,
    Redeemer,
    Redemption,
    RedemptionPolicy,
    SenderFunds,
    SenderMonitor,
    SqliteStore,
    TicketState,
    Why,
    read_tickets,
)
from livefleet.reconcile.resources import RedemptionResource
from livefleet.spec import BatchMode
from tests.builders.payments import ETH, GATEWAY, HandClock, ToldChain, a_winner
from tests.builders.redeeming import SINGLE_GAS, ToldBroker, put

pytestmark = pytest.mark.component

FACE = Wei(12 * 10**15)
SINGLY = RedemptionPolicy(batch=BatchMode.NEVER)
EXPIRED_AT = BlockNumber(21_000_000)


class Bench:
    def __init__(self, store, path):
        self.path = path
        self.store = store
        self.clock = HandClock()
        self.chain = ToldChain()
        self.broker = ToldBroker()
        self.monitor = self.broker.monitor = SenderMonitor(self.chain)
        self.expected = []

    def redeemer(self, policy=SINGLY, **fields):
        return Redeemer(
            self.store,
            self.chain,
            self.broker,
            self.monitor,
            clock=self.clock,
            policy=policy,
            expect=self.expected.append,
            **fields,
        )

    async def run_once(self, policy=SINGLY, **fields):
        async with self.redeemer(policy, **fields) as redeemer:
            return await redeemer.run_once()

    async def won(self, *nonces, **fields):
        winners = tuple(a_winner(**({"sender_nonce": nonce, "face_value": FACE} | fields)) for nonce in nonces)
        await put(self.store, *winners)
        return winners

    def states(self):
        return {t.winner.ticket.sender_nonce: (t.state, t.note, t.paid) for t in read_tickets(self.path)}


@pytest.fixture
async def bench(tmp_path):
    async with SqliteStore(tmp_path / "s") as store:
        yield Bench(store, tmp_path / "s")


async def test_run__parameters_expired__tickets_are_redeemed(bench):
    await bench.won(1, 2)

    report = await bench.run_once()

    assert (report.looked_at, report.redeemed, report.paid) == (2, 2, 2 * FACE)
    assert bench.states() == dict.fromkeys((1, 2), (TicketState.REDEEMED, "redeemed", FACE))
    assert bench.store.totals.of(TicketState.REDEEMED).count == 2
    assert bench.store.totals.paid == 2 * FACE
    assert (await bench.run_once()).looked_at == 0


async def test_run__nothing_pending__the_chain_is_asked_nothing(bench):
    await bench.run_once()

    assert bench.broker.asked == 0


async def test_run__parameters_not_expired__random_is_not_shown(bench):
    await bench.won(1, expiration_block=EXPIRED_AT + 1)

    report = await bench.run_once()

    assert report.waiting == {"parameters have not expired": 1}
    assert report.why == {Why.PARAMETERS: 1}
    assert bench.broker.sent == []
    assert bench.states()[1] == (TicketState.PENDING, "parameters have not expired", None)
    assert bench.expected == [EXPIRED_AT + 1]
    bench.chain.move(l1_block=BlockNumber(EXPIRED_AT + 1))
    assert (await bench.run_once()).redeemed == 1


async def test_run__parameters_closed_for_good__need_not_expire(bench):
    await bench.won(1, expiration_block=EXPIRED_AT + 30)

    assert (await bench.run_once(closed_before=lambda: EXPIRED_AT + 30)).redeemed == 0
    assert (await bench.run_once(closed_before=lambda: EXPIRED_AT + 31)).redeemed == 1


async def test_run__several__last_moment_first_then_most_valuable(bench):
    bench.chain.move(current_round=Round(3501), last_initialized_round=Round(3501))
    bench.broker.clock = bench.broker.clock.__class__(Round(3501), BlockNumber(21_000_000), 6377, 2)
    late = a_winner(sender_nonce=1, face_value=Wei(FACE + 2), aux_data=(3501).to_bytes(32, "big") + b"\x01" * 32)
    await put(bench.store, late)
    await bench.won(2)
    await bench.won(3, face_value=Wei(FACE + 1))

    await bench.run_once(RedemptionPolicy(batch=BatchMode.NEVER, in_flight=3))

    assert bench.broker.sent == [[3], [2], [1]]


async def test_run__one_is_stuck__later_looks_send_others(bench):
    await bench.won(1)
    stuck = bench.broker.held[1] = asyncio.Event()
    async with bench.redeemer() as redeemer:
        first = await redeemer.look()
        await bench.won(2, 3)
        second = await redeemer.look()
        async with asyncio.timeout(30):
            while len(bench.broker.sent) < 2:
                await asyncio.sleep(0.01)
        assert (first.in_flight, second.in_flight, second.sent) == (1, 3, 2)
        assert bench.broker.sent == [[2], [3]]
        stuck.set()
        assert (await redeemer.run_once()).redeemed == 3


async def test_run__as_many_transactions_as_allowed__the_rest_waits_in_line(bench):
    await bench.won(1, 2, 3)
    stuck = asyncio.Event()
    bench.broker.held |= dict.fromkeys((1, 2, 3), stuck)
    async with bench.redeemer(RedemptionPolicy(batch=BatchMode.NEVER, in_flight=2)) as redeemer:
        report = await redeemer.look()
        assert (report.sent, report.why) == (2, {Why.IN_LINE: 1})
        stuck.set()
        await redeemer.run_once()
        assert (await redeemer.run_once()).redeemed == 1


async def test_run__in_flight__counts_as_pending_and_no_longer_after(bench):
    await bench.won(1)
    bench.broker.refusals[1] = Transient("the node is away")

    report = await bench.run_once()

    assert bench.broker.pending_seen == [FACE]
    assert bench.monitor.pending(GATEWAY) == 0
    assert report.waiting == {"the node is away": 1}
    assert bench.states()[1][:2] == (TicketState.PENDING, "the node is away")


async def test_run__in_a_transaction_of_an_earlier_life__is_not_sent_again(bench):
    (winner, _) = await bench.won(1, 2)
    bench.broker.live_hashes = frozenset({winner.ticket.hash})

    report = await bench.run_once()

    assert (report.in_flight, report.redeemed, bench.broker.sent) == (2, 1, [[2]])


async def test_run__in_flight__its_share_of_the_senders_funds_is_gone(bench):
    (winner, _) = await bench.won(1, 2)
    bench.broker.live_hashes = frozenset({winner.ticket.hash})
    bench.broker.funds = SenderFunds(Wei(FACE), Wei(0))

    report = await bench.run_once()

    assert (report.redeemed, report.why) == (0, {Why.FUNDS: 1})


async def test_run__permanent_refusal__is_lost_counted_and_named(bench, caplog):
    await bench.won(1, 2)
    bench.broker.trials[1] = "invalid signature over ticket hash"

    async with bench.redeemer() as redeemer:
        report = await redeemer.run_once()
        assert dict(redeemer.losses.value.items()) == {("invalid signature over ticket hash", GATEWAY): FACE}
        (loss,) = redeemer.losses.recent()
        assert (loss.sender, loss.value, loss.reason) == (GATEWAY, FACE, "invalid signature over ticket hash")
        bench.clock.time += 86_401
        assert redeemer.losses.recent() == ()

    assert (report.lost, report.lost_value, report.redeemed) == (1, FACE, 1)
    assert bench.states()[1][:2] == (TicketState.LOST, "invalid signature over ticket hash")
    assert bench.store.totals.of(TicketState.LOST).value == FACE
    assert [r.reason for r in caplog.records if r.message == "ticket.lost"] == ["invalid signature over ticket hash"]


async def test_restart__lost_before__is_told_for_a_day_and_counted_once(bench):
    await bench.won(1, 2)
    bench.broker.trials[1] = "invalid signature over ticket hash"
    bench.broker.trials[2] = "ticket did not win"
    async with bench.redeemer() as redeemer:
        await redeemer.run_once()
        told = redeemer.losses.recent()
    bench.clock.time += 86_000
    async with bench.redeemer() as redeemer:
        assert sorted(redeemer.losses.recent(), key=str) == sorted(told, key=str)
        assert len(told) == 2
        assert dict(redeemer.losses.count.items()) == {}  # a counter begins anew with its process
        resource = RedemptionResource(bench.store, redeemer, every_s=15.0)
        (condition,) = resource.plan(await resource.observe()).conditions
        assert (condition.reason, condition.status) == ("Lost", Status.FALSE)
        assert GATEWAY in condition.message
        bench.clock.time += 1_000
        assert redeemer.losses.recent() == ()


async def test_run__too_late__is_lost_with_what_it_waited_for_unless_the_contract_has_it(bench):
    (late, used) = await bench.won(1, 2)
    bench.broker.trials[1] = "transcoder must be active"
    bench.broker.used[used.ticket.hash] = Redemption(b"\x05" * 32, FACE)
    assert (await bench.run_once()).used_before == 1
    bench.chain.move(current_round=Round(3502), last_initialized_round=Round(3502))
    bench.broker.trials[1] = "ticket is expired"

    report = await bench.run_once()

    assert (report.lost, report.used_before) == (1, 0)
    assert bench.states()[1][:2] == (TicketState.LOST, "ticket is expired; it waited: transcoder must be active")
    assert bench.states()[2][0] is TicketState.REDEEMED
    assert late.ticket.hash not in bench.broker.used


async def test_run__an_endpoint_says_it_is_too_late_and_the_contract_does_not__is_redeemed(bench):
    await bench.won(1)
    bench.chain.move(current_round=Round(9999), last_initialized_round=Round(9999))

    assert (await bench.run_once()).redeemed == 1


async def test_run__transaction_ends_during_a_look__is_not_counted_twice(bench):
    await bench.won(1)
    bench.broker.held[1] = asyncio.Event()
    pending = bench.store.pending

    async with bench.redeemer() as redeemer:
        await redeemer.look()

        async def slow_pending():
            found = await pending()
            bench.broker.held[1].set()
            async with asyncio.timeout(10):
                while redeemer.redeemed_value.total == 0:
                    await asyncio.sleep(0.01)
            return found

        bench.store.pending = slow_pending
        report = await redeemer.look()
        assert (report.redeemed, report.used_before, report.in_flight) == (1, 0, 1)
        assert redeemer.redeemed_value.total == FACE


async def test_look__stuck_transaction_whose_tickets_are_moot__they_are_settled_once_and_it_is_told(bench, caplog):
    used, late, good = await bench.won(1, 2, 3)
    bench.broker.held = {nonce: asyncio.Event() for nonce in (1, 3)}
    batch = RedemptionPolicy(batch=BatchMode.ALWAYS, max_batch=2, collect_s=0.0)
    async with bench.redeemer(batch) as redeemer:
        await redeemer.look()  # 1 and 2 in one transaction, 3 in another
        bench.broker.live_hashes = frozenset({used.ticket.hash, late.ticket.hash})
        bench.broker.used[used.ticket.hash] = None
        bench.broker.by_others[used.ticket.hash] = Redemption(b"\x06" * 32, FACE)
        bench.broker.trials[2] = "ticket is expired"
        report = await redeemer.look()  # it may still be mined: nothing is said of it yet
        assert (report.used_before, report.lost, report.in_flight) == (0, 0, 3)
        bench.clock.time += 301

        report = await redeemer.look()

        assert (report.used_before, report.lost) == (1, 1)
        assert bench.states()[1] == (TicketState.REDEEMED, "found redeemed on chain", FACE)
        assert bench.states()[2][:2] == (TicketState.LOST, "ticket is expired")
        assert bench.states()[3][0] is TicketState.PENDING
        assert [r.tickets for r in caplog.records if r.message == "redemption.moot"] == [2]
        assert redeemer.last.expiring.count == 0
        for event in bench.broker.held.values():
            event.set()
        bench.broker.live_hashes = frozenset()
        report = await redeemer.run_once()
        assert bench.states()[3][0] is TicketState.REDEEMED
        assert (report.used_before, report.lost, redeemer.errors.total) == (0, 0, 0)
        assert redeemer.redeemed_value.total == 2 * FACE
    assert good.ticket.hash in bench.broker.used


async def test_run__validity_that_governance_raised__is_the_chains(bench):
    await bench.won(1)
    bench.broker.clock = bench.broker.clock.__class__(Round(3500), BlockNumber(20_999_900), 6377, 3)
    bench.chain.move(current_round=Round(3502), last_initialized_round=Round(3502))

    assert (await bench.run_once()).redeemed == 1


@pytest.mark.parametrize("reason", ["transcoder must be active", "transcoder must be registered"])
async def test_run__refusal_that_passes__is_tried_again(bench, reason):
    await bench.won(1)
    bench.broker.trials[1] = reason
    report = await bench.run_once()
    assert (report.waiting, report.why) == ({reason: 1}, {Why.INACTIVE: 1})
    del bench.broker.trials[1]

    assert (await bench.run_once()).redeemed == 1


async def test_run__accounting_panic__raises_an_alarm_and_keeps_the_ticket(bench):
    (winner,) = await bench.won(1)
    bench.broker.trials[1] = "Panic(0x01)"

    report = await bench.run_once()

    assert report.alarms == [f"{winner.ticket.hash.hex()}: Panic(0x01)"]
    assert bench.states()[1][0] is TicketState.PENDING


async def test_run__mined_and_reverted__is_tried_again_later_and_later(bench):
    await bench.won(1)
    bench.broker.refusals[1] = Reverted("")
    async with bench.redeemer() as redeemer:
        await redeemer.run_once()
        assert (await redeemer.run_once()).why == {Why.FAILED: 1}
        bench.clock.time += 31
        await redeemer.run_once()
        bench.clock.time += 31
        assert (await redeemer.run_once()).why == {Why.FAILED: 1}
        bench.clock.time += 31
        del bench.broker.refusals[1]
        assert (await redeemer.run_once()).redeemed == 1
    assert redeemer.errors.total == 2


async def test_run__killed_after_sending__is_found_used_and_not_sent_again(bench):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = Redemption(b"\x05" * 32, Wei(FACE - 1))

    report = await bench.run_once()

    assert (report.used_before, report.paid, bench.broker.sent) == (1, FACE - 1, [])
    assert bench.states()[1] == (TicketState.REDEEMED, "redeemed", FACE - 1)


async def test_run__somebody_else_redeemed_it__what_it_was_paid_is_booked(bench):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = None
    bench.broker.by_others[winner.ticket.hash] = Redemption(b"\x06" * 32, Wei(FACE // 2))

    assert (await bench.run_once()).paid == FACE // 2
    assert bench.states()[1] == (TicketState.REDEEMED, "found redeemed on chain", FACE // 2)
    assert bench.broker.searched == [1.0]  # since it came
    assert bench.store.totals.paid == FACE // 2


@pytest.mark.parametrize("answer", [None, Transient("no endpoint gives logs")], ids=["no event", "no logs"])
async def test_run__somebody_else_redeemed_it__who_is_searched_for_some_times_and_then_it_is_done(bench, answer):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = None
    bench.broker.by_others[winner.ticket.hash] = answer
    async with bench.redeemer() as redeemer:
        for _ in range(4):
            report = await redeemer.run_once()
            assert (report.used_before, report.waiting) == (
                0,
                {"redeemed; what it was paid is looked up": 1},
            )
        assert (await redeemer.run_once()).used_before == 1
    assert bench.states()[1] == (TicketState.REDEEMED, "found used on chain", None)


async def test_run__paid_less_than_face_value__says_so(bench):
    await bench.won(1)
    bench.broker.paying[1] = FACE // 4

    async with bench.redeemer() as redeemer:
        report = await redeemer.run_once()

    assert (report.paid, report.short) == (FACE // 4, FACE * 3 // 4)
    assert redeemer.losses.short.total == FACE * 3 // 4
    assert bench.store.totals.paid == FACE // 4


async def test_run__reserve_share_shrank__only_tickets_beyond_the_deposit_wait(bench):
    await bench.won(1, 2)
    bench.broker.funds = SenderFunds(Wei(FACE), None)

    report = await bench.run_once()

    assert report.redeemed == 1
    assert report.waiting == {"reserve share shrank below what was claimed": 1}


async def test_run__nothing_to_be_had__ticket_is_not_burnt(bench):
    await bench.won(1)
    bench.broker.funds = SenderFunds(Wei(0), Wei(0))

    assert (await bench.run_once()).why == {Why.FUNDS: 1}
    assert bench.broker.sent == []


async def test_run__inactive_and_no_deposit__ticket_is_not_burnt(bench):
    await bench.won(1)
    bench.broker.funds = SenderFunds(Wei(0), Wei(ETH))
    bench.broker.active = False

    assert (await bench.run_once()).waiting == {"recipient is not active": 1}
    assert bench.broker.sent == []


async def test_run__sender_unlocked__waits(bench):
    await bench.won(1)
    bench.broker.funds = SenderFunds(Wei(ETH), Wei(ETH), Round(3500))
    assert (await bench.run_once()).why == {Why.SENDER_UNLOCKED: 1}
    bench.broker.funds = SenderFunds(Wei(ETH), Wei(ETH), Round(3501))
    assert (await bench.run_once()).redeemed == 1


async def test_run__chain_does_not_answer__all_wait(bench):
    await bench.won(1, 2)

    async def away(winners):
        raise Transient("no JSON-RPC endpoint answers")

    bench.broker.survey = away
    assert (await bench.run_once()).why == {Why.CHAIN: 2}


async def test_run__gas_is_dear__waits_while_there_is_time_and_pays_when_there_is_none(bench):
    await bench.won(1)
    policy = RedemptionPolicy(max_gas_price=Wei(10), urgent_before=600)
    bench.chain.move(gas_price=Wei(11))
    assert (await bench.run_once(policy)).waiting == {"gas price is above the limit": 1}
    end = 20_999_900 + 2 * 6377
    bench.chain.move(l1_block=BlockNumber(end - 601))
    assert (await bench.run_once(policy)).redeemed == 0
    bench.chain.move(l1_block=BlockNumber(end - 600))

    assert (await bench.run_once(policy)).redeemed == 1
    ((_, limit),) = bench.broker.limits
    assert limit.max_gas_price == 0
    assert 0 < limit.max_cost <= FACE * 5 // 4


async def test_run__too_dear_even_when_urgent__is_pressing_and_looked_at_each_block(bench):
    await bench.won(1)
    head = BlockNumber(20_999_900 + 2 * 6377 - 100)
    bench.chain.move(gas_price=Wei(21), l1_block=head)

    report = await bench.run_once(RedemptionPolicy(max_gas_price=Wei(10), urgent_max_gas_price=Wei(20)))

    expiring = report.expiring
    assert (expiring.count, expiring.value, expiring.blocks_left) == (1, FACE, 100)
    assert expiring.reasons == {"gas price is above the limit": 1}
    assert bench.expected == [head + 1]


async def test_run__gas_rises_before_sending__waits_for_its_price(bench):
    await bench.won(1)
    bench.broker.refusals[1] = FeeTooHigh(gas_price=5, limit=4)

    assert (await bench.run_once()).why == {Why.GAS_PRICE: 1}


async def test_run__leaving_the_active_set__all_is_urgent(bench):
    await bench.won(1)
    bench.chain.move(gas_price=Wei(11))
    leaving = Departure(DepartureKind.LEAVING, Round(3500), BlockNumber(21_000_010), BlockNumber(21_000_005))
    policy = RedemptionPolicy(max_gas_price=Wei(10))

    assert (await bench.run_once(policy)).redeemed == 0
    assert (await bench.run_once(policy, departure=lambda: leaving)).redeemed == 1


async def test_batch__several_due__one_transaction_and_gas_is_learnt(bench):
    await bench.won(1, 2, 3)
    async with bench.redeemer(RedemptionPolicy()) as redeemer:
        report = await redeemer.run_once()
        assert redeemer.gas.last_batch == (3, 3 * SINGLE_GAS)

    assert (report.sent, report.redeemed, report.paid) == (1, 3, 3 * FACE)
    assert bench.broker.sent == [[1, 2, 3]]


async def test_batch__one_is_refused_inside__the_others_are_settled_and_it_goes_alone(bench):
    await bench.won(1, 2, 3)
    bench.broker.starved = {2}
    async with bench.redeemer(RedemptionPolicy()) as redeemer:
        report = await redeemer.run_once()
        assert (report.redeemed, report.why) == (2, {Why.FAILED: 1})
        assert redeemer.gas.last_batch is None  # what it used says nothing of a batch that works
        assert redeemer.errors.total == 1
        await bench.won(4)
        bench.clock.time += 31
        report = await redeemer.run_once()

    assert report.redeemed == 2
    assert sorted(bench.broker.sent[1:]) == [[2], [4]]


async def test_batch__one_was_redeemed_by_somebody_meanwhile__is_settled_as_used(bench):
    (_, other, _) = await bench.won(1, 2, 3)
    bench.broker.starved = {2}
    redeem = bench.broker.redeem

    async def overtaken(winners, **fields):
        mined = await redeem(winners, **fields)
        bench.broker.used[other.ticket.hash] = None
        bench.broker.by_others[other.ticket.hash] = Redemption(b"\x06" * 32, FACE)
        return mined

    bench.broker.redeem = overtaken
    report = await bench.run_once(RedemptionPolicy())

    assert (report.redeemed, report.used_before) == (2, 1)
    assert bench.states()[2] == (TicketState.REDEEMED, "found redeemed on chain", FACE)


async def test_batch__others_are_about_to_be_due__waits_for_them_but_not_for_long(bench):
    await bench.won(1)
    await bench.won(2, expiration_block=EXPIRED_AT + 5)
    policy = RedemptionPolicy(collect_s=120.0, collect_blocks=10)
    async with bench.redeemer(policy) as redeemer:
        report = await redeemer.run_once()
        assert report.why == {Why.COLLECTING: 1, Why.PARAMETERS: 1}
        bench.chain.move(l1_block=BlockNumber(EXPIRED_AT + 5))
        assert (await redeemer.run_once()).redeemed == 2
        await bench.won(3)
        await bench.won(4, expiration_block=EXPIRED_AT + 12)
        assert (await redeemer.run_once()).redeemed == 0
        bench.clock.time += 121
        assert (await redeemer.run_once()).redeemed == 1
    assert bench.broker.sent == [[1, 2], [3]]


async def test_take__same_ticket_with_another_signature__is_kept_once(bench):
    await bench.won(1)
    await bench.won(1)

    assert bench.store.totals.won.count == 1
    assert len(await bench.store.pending()) == 1


async def test_run__key_without_eth__waits_with_words_that_do_not_move(bench):
    await bench.won(1)
    bench.broker.refusals[1] = OutOfFunds("0x1 holds 5 wei; redeem:aa may take 7; send it ETH")

    report = await bench.run_once()

    assert report.waiting == {"the redeeming key has too little ETH for gas": 1}


async def test_in_flight__becomes_urgent__may_cost_what_it_is_worth_and_is_told_when_slow(bench):
    (winner,) = await bench.won(1)
    bench.broker.live_hashes = frozenset({winner.ticket.hash})
    policy = RedemptionPolicy(max_gas_price=Wei(10), urgent_max_gas_price=Wei(99))
    async with bench.redeemer(policy) as redeemer:
        await redeemer.look()
        assert bench.broker.allowed == []
        bench.chain.move(l1_block=BlockNumber(20_999_900 + 2 * 6377 - 500))
        assert (await redeemer.look()).expiring.count == 0
        bench.clock.time += 301
        expiring = (await redeemer.look()).expiring

    assert bench.broker.allowed == [(bench.broker.live_hashes, SpendLimit(Wei(99), FACE))]
    assert expiring.reasons == {"its transaction is not mined yet": 1}


async def test_run__something_unexpected_while_sending__others_go_on(bench, caplog):
    await bench.won(1, 2)
    bench.broker.refusals[1] = ZeroDivisionError("a fault of ours")

    async with bench.redeemer() as redeemer:
        assert (await redeemer.run_once()).redeemed == 1
        del bench.broker.refusals[1]
        assert (await redeemer.run_once()).redeemed == 1

    assert "redemption.failed" in caplog.messages
