"""Several tickets in one transaction."""

import pytest

from livefleet.kernel import BlockNumber
from livefleet.payments import Redemption, RedemptionPolicy, TicketState, Why
from tests.builders.redeeming import EXPIRED_AT, FACE, SINGLE_GAS

pytestmark = pytest.mark.component


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
