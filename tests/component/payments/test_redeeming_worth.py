"""A ticket waits while it is worth less than its gas, or nothing can be had for it."""

import pytest

from livefleet.chain import FeeTooHigh, OutOfFunds
from livefleet.kernel import BlockNumber, Round, Wei
from livefleet.payments import Departure, DepartureKind, RedemptionPolicy, SenderFunds, Why
from tests.builders.payments import ETH
from tests.builders.redeeming import FACE

pytestmark = pytest.mark.component


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


async def test_run__key_without_eth__waits_with_words_that_do_not_move(bench):
    await bench.won(1)
    bench.broker.refusals[1] = OutOfFunds("0x1 holds 5 wei; redeem:aa may take 7; send it ETH")

    report = await bench.run_once()

    assert report.waiting == {"the redeeming key has too little ETH for gas": 1}


async def test_look__could_not_be_sent_and_its_last_moment_nears__is_told_until_it_is_sent(bench):
    await bench.won(1)
    bench.broker.refusals[1] = OutOfFunds("0x1 holds 5 wei; redeem:aa may take 7; send it ETH")
    told = []

    async with bench.redeemer() as redeemer:
        redeemer.subscribe(lambda: told.append(1))
        await redeemer.run_once()
        assert (await redeemer.run_once()).expiring.count == 0  # there is time
        bench.chain.move(l1_block=BlockNumber(20_999_900 + 2 * 6377 - 100))
        for _ in range(2):
            expiring = (await redeemer.run_once()).expiring
            assert (expiring.count, expiring.value, expiring.blocks_left) == (1, FACE, 100)
            assert expiring.reasons == {"the redeeming key has too little ETH for gas": 1}
        assert told == []  # so that nobody looks again at once, and again

        del bench.broker.refusals[1]
        assert (await redeemer.run_once()).redeemed == 1
        assert redeemer.last.expiring.count == 0
        assert told == [1]
