"""The redeemer over a real store and a chain that answers as told: what is sent, and when."""

import asyncio

import pytest

from livefleet.chain import SpendLimit
from livefleet.kernel import BlockNumber, Round, Transient, Wei
from livefleet.payments import Redemption, RedemptionPolicy, SenderFunds, TicketState, Why
from livefleet.spec import BatchMode
from tests.builders.payments import GATEWAY, a_winner
from tests.builders.redeeming import EXPIRED_AT, FACE, put

pytestmark = pytest.mark.component


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


async def test_run__chain_does_not_answer__all_wait(bench):
    await bench.won(1, 2)

    async def away(winners):
        raise Transient("no JSON-RPC endpoint answers")

    bench.broker.survey = away
    assert (await bench.run_once()).why == {Why.CHAIN: 2}


async def test_take__same_ticket_with_another_signature__is_kept_once(bench):
    await bench.won(1)
    await bench.won(1)

    assert bench.store.totals.won.count == 1
    assert len(await bench.store.pending()) == 1


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
