"""Batches on a local chain: what each ticket is paid, what one that fails does to the others, what gas they take."""

import asyncio
from dataclasses import replace

import pytest

from livefleet.chain import SpendLimit, TransactionPolicy
from livefleet.kernel import Wei
from livefleet.payments import Departure, DepartureKind, RedemptionPolicy, TicketState, read_tickets
from livefleet.payments.redemption_gas import batch_gas_limit
from livefleet.spec import BatchMode
from tests.builders.redeeming import (
    LocalRedeeming,
    a_local_winner,
    hold_blocks,
    let_blocks_go,
    put,
    send_raw,
    signed_ticket,
    until_sent,
)
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

GATEWAY, ORCHESTRATOR, OTHER, SECOND_GATEWAY, REDEEMER = (dev_signer(index) for index in (4, 1, 2, 5, 7))
ETH = 10**18
FACE = 10**16
PLENTY = SpendLimit()


async def _ready(chain, *, deposit=ETH, reserve=ETH, gateway=GATEWAY):
    if not await chain.client.bonding.is_active(ORCHESTRATOR.address):
        await chain.activate_orchestrator(ORCHESTRATOR)
    await chain.fund_gateway(gateway.address, deposit=Wei(deposit), reserve=Wei(reserve))


async def _winners(chain, count, *, gateway=GATEWAY, first=1, **fields):
    return [
        await a_local_winner(chain.client, gateway, ORCHESTRATOR.address, nonce=first + index, **fields)
        for index in range(count)
    ]


async def test_look__several_are_due__go_in_one_transaction_for_less_gas(devchain, tmp_path):
    await _ready(devchain)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, *await _winners(devchain, 1))
        await local.run_once()
        await put(local.store, *await _winners(devchain, 1, first=2))
        await local.run_once()
        single = local.redeemer.gas.last_single
        await put(local.store, *await _winners(devchain, 3, first=3))
        before = await _nonce(devchain, REDEEMER.address)
        report = await local.run_once()

        assert (report.sent, report.redeemed, report.paid, report.short) == (1, 3, 3 * FACE, 0)
        assert await _nonce(devchain, REDEEMER.address) - before == 1
        count, used = local.redeemer.gas.last_batch
        assert count == 3
        assert used / 3 < single
        assert await devchain.client.bonding.pending_fees(ORCHESTRATOR.address) == 5 * FACE
    stored = read_tickets(tmp_path / "store")
    assert {ticket.paid for ticket in stored} == {FACE}
    assert len({ticket.tx_hash for ticket in stored}) == 3


async def test_look__sender_cannot_pay_all__those_after_the_last_that_is_paid_are_not_burnt(devchain, tmp_path):
    await devchain.activate_orchestrator(OTHER)
    await _ready(devchain, deposit=2 * FACE + FACE // 2, reserve=2 * FACE)  # our share of the reserve: one face value
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        winners = await _winners(devchain, 5)
        await put(local.store, *winners)
        report = await local.run_once()

        assert report.redeemed == 4
        assert report.paid == 3 * FACE + FACE // 2
        assert report.short == FACE // 2
        assert report.waiting == {"sender's funds are used up, also by tickets that go first": 1}
        used = [await devchain.client.broker.is_used(winner.ticket.hash) for winner in winners]
        assert used.count(False) == 1
        assert local.redeemer.losses.short.total == FACE // 2

        await devchain.fund_gateway(GATEWAY.address, deposit=Wei(FACE), reserve=Wei(0))
        assert (await local.run_once()).paid == FACE


async def test_look__one_sender_is_broke__another_senders_tickets_go(devchain, tmp_path):
    await _ready(devchain)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        broke = await _winners(devchain, 2, gateway=SECOND_GATEWAY, face_value=5 * FACE)
        await put(local.store, *broke, *await _winners(devchain, 2, first=9))

        report = await local.run_once()

        assert report.redeemed == 2
        assert report.waiting == {"sender deposit and reserve are zero": 2}


async def test_redeem__one_fails_inside__the_others_are_paid_and_it_is_told_apart(devchain, tmp_path):
    await _ready(devchain)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        first, bad, last = await _winners(devchain, 3)
        bad = replace(bad, recipient_rand=8)
        mined = await local.broker.redeem([first, bad, last], gas=2_000_000, limit=PLENTY)

        assert mined.paid == {first.ticket.hash: FACE, last.ticket.hash: FACE}


async def test_redeem__one_is_paid_nothing__its_neighbours_payments_are_not_taken_for_its_own(devchain, tmp_path):
    await devchain.activate_orchestrator(OTHER)
    await _ready(devchain, deposit=FACE, reserve=FACE)
    await _ready(devchain, gateway=SECOND_GATEWAY)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        full, half, none = await _winners(devchain, 3)
        (rich,) = await _winners(devchain, 1, gateway=SECOND_GATEWAY, face_value=3 * FACE)
        mined = await local.broker.redeem([full, half, none, rich], gas=3_000_000, limit=PLENTY)

        assert mined.paid == {
            full.ticket.hash: FACE,
            half.ticket.hash: FACE // 2,
            none.ticket.hash: 0,
            rich.ticket.hash: 3 * FACE,
        }
        assert await devchain.client.bonding.pending_fees(ORCHESTRATOR.address) == sum(mined.paid.values())


async def test_redeem__refused_inside_a_batch__is_tried_alone_and_named(devchain, tmp_path):
    await _ready(devchain)
    policy = RedemptionPolicy(collect_s=0.0, batch=BatchMode.ALWAYS)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address, policy=policy) as local:
        winners = await _winners(devchain, 2)
        await put(local.store, *winners)
        await hold_blocks(devchain)
        await local.watcher.look()
        await local.redeemer.look()  # the batch is sent and waits
        await until_sent(local.transactions)
        overtaking = devchain.client.broker.redeem_call(signed_ticket(winners[0]))
        await send_raw(devchain, OTHER, overtaking, tip=100 * 10**9)
        await let_blocks_go(devchain)
        await local.run_once()
    states = {
        ticket.winner.ticket.sender_nonce: (ticket.state, ticket.paid) for ticket in read_tickets(tmp_path / "store")
    }
    assert states[2] == (TicketState.REDEEMED, FACE)
    assert states[1] == (TicketState.REDEEMED, FACE)


@pytest.mark.parametrize("count", [2, 5, 10])
async def test_gas__the_nodes_estimate_starves_the_last_ticket__ours_does_not(devchain, tmp_path, count):
    await _ready(devchain)
    client = devchain.client
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        winners = await _winners(devchain, count)
        survey = await local.broker.survey(winners)
        call = client.broker.batch_redeem_call([signed_ticket(winner) for winner in winners])
        naive = await client.rpc.estimate_gas(call, REDEEMER.address)
        snapshot = await client.rpc.request("evm_snapshot")

        fooled = await local.broker.redeem(winners, gas=naive, limit=PLENTY)
        assert set(fooled.paid) == {winner.ticket.hash for winner in winners[:-1]}

        await client.rpc.request("evm_revert", snapshot)
        ours = batch_gas_limit([survey.trials[winner.ticket.hash].gas for winner in winners], claims=0)
        await send_raw(devchain, OTHER, call, gas=ours)
        await devchain.mine()  # the node answers before the block is made
        assert all([await client.broker.is_used(winner.ticket.hash) for winner in winners])


async def test_survey__a_ticket_is_refused__the_others_are_told_all_the_same(devchain, tmp_path):
    await _ready(devchain)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        first, bad, last = await _winners(devchain, 3)
        bad = replace(bad, recipient_rand=8)
        survey = await local.broker.survey([first, bad, last])

        assert survey.active == {ORCHESTRATOR.address: True}
        assert survey.trials[bad.ticket.hash].refusal == "recipientRand does not match recipientRandHash"
        assert min(survey.trials[winner.ticket.hash].gas for winner in (first, last)) > 100_000
        funds = survey.funds[GATEWAY.address, ORCHESTRATOR.address]
        assert (funds.deposit, funds.claimable, funds.withdraw_round) == (ETH, ETH, 0)


async def _nonce(chain, address):
    return int(await chain.client.rpc.request("eth_getTransactionCount", address, "latest"), 16)


async def test_sent_and_gas_rises__ticket_becomes_urgent__more_is_paid_and_it_is_mined(devchain, tmp_path):
    await _ready(devchain)
    leaving = []
    async with LocalRedeeming(
        devchain,
        tmp_path,
        ORCHESTRATOR.address,
        policy=RedemptionPolicy(max_gas_price=Wei(3 * 10**9)),
        sending=TransactionPolicy(poll_s=0.1, replace_after_s=0.3),
        departure=lambda: leaving[0] if leaving else None,
    ) as local:
        await put(local.store, *await _winners(devchain, 2))
        await hold_blocks(devchain)
        await local.watcher.look()
        await local.redeemer.look()
        await until_sent(local.transactions)
        await devchain.set_base_fee(Wei(20 * 10**9))
        (stuck,) = await local.transactions.pending()
        assert stuck.limit.max_gas_price == 3 * 10**9

        head = await local.watcher.look()
        leaving.append(Departure(DepartureKind.LEAVING, head.current_round, head.round_end_block, head.l1_block))
        await local.redeemer.look()
        async with asyncio.timeout(20):
            while (await local.transactions.pending())[0].attempts[-1].max_fee < 15 * 10**9:
                await asyncio.sleep(0.05)
        await let_blocks_go(devchain)
        report = await local.run_once()

        assert local.store.totals.paid == 2 * FACE
        assert report.looked_at in {0, 2}
