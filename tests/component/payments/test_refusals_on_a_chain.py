"""Each reason for which the contract refuses a ticket, made on a local chain: lost and named, or tried again."""

from dataclasses import replace

import pytest

from livefleet.chain import SpendLimit
from livefleet.chain.abi import Function
from livefleet.chain.contracts.ticket_broker import UNLOCK
from livefleet.kernel import ZERO_ADDRESS, BlockNumber, Round, Wei, WinProb, to_u256
from livefleet.payments import TicketState, Why, WinningTicket, read_tickets
from tests.builders.chain import a_devchain
from tests.builders.redeeming import LocalRedeeming, a_local_winner, put, send_raw, signed_ticket
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.chain import ProtocolVersion

pytestmark = pytest.mark.component

GATEWAY, ORCHESTRATOR, OTHER, THIRD = (dev_signer(index) for index in (4, 1, 2, 3))
ETH = 10**18
FACE = 10**16
HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


async def _funded(chain, *, deposit=ETH, reserve=ETH):
    await chain.activate_orchestrator(ORCHESTRATOR)
    await chain.fund_gateway(GATEWAY.address, deposit=Wei(deposit), reserve=Wei(reserve))


def _with(winner, signer=GATEWAY, **fields):
    ticket = replace(winner.ticket, **fields)
    return WinningTicket(ticket, signer.sign_message(ticket.hash), winner.recipient_rand, winner.expiration_block)


def _faults(good):
    """Tickets that break a rule, and what the contract says: either wording where builds differ."""
    aux, signature = good.ticket.aux_data, good.signature
    r, s, v = signature[:32], signature[32:64], signature[64]
    high_s = HALF_ORDER - int.from_bytes(s, "big")
    return {
        "ticket recipient is null address": _with(good, recipient=ZERO_ADDRESS),
        "ticket creationRoundBlockHash invalid for creationRound": _with(good, aux_data=aux[:32] + b"\1" * 32),
        "recipientRand does not match recipientRandHash": replace(good, recipient_rand=8),
        "INVALID_SIGNATURE_LENGTH": replace(_with(good, sender_nonce=2), signature=signature[:64]),
        "ECDSA: invalid signature": replace(_with(good, sender_nonce=3), signature=r + s + bytes([v - 27])),
        "ECDSA: invalid signature 's' value": replace(
            _with(good, sender_nonce=4), signature=r + to_u256(high_s) + bytes([v])
        ),
        "invalid signature over ticket hash": _with(_with(good, sender_nonce=5), OTHER),
        "ticket did not win": _with(good, win_prob=WinProb(0), sender_nonce=6),
    }


async def test_refused_for_good__each_reason__is_lost_and_named(devchain, tmp_path):
    await _funded(devchain)
    good = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address)
    faults = _faults(good)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, *faults.values())
        report = await local.run_once()

        assert (report.lost, report.redeemed, report.waiting) == (len(faults), 0, {})
        assert {reason for (reason, _), _ in local.redeemer.losses.value.items()} == set(faults)
    notes = {t.winner.ticket.hash: (t.state, t.note) for t in read_tickets(tmp_path / "store")}
    assert notes == {winner.ticket.hash: (TicketState.LOST, reason) for reason, winner in faults.items()}


async def test_refused_for_good__auxiliary_data_of_another_length__is_lost_and_named(devchain, tmp_path):
    await _funded(devchain)
    good = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address)
    short = _with(good, aux_data=good.ticket.aux_data[:40])
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, short)
        report = await local.run_once()
        assert report.lost == 1
    (ticket,) = read_tickets(tmp_path / "store")
    assert ticket.note == "invalid length for ticket auxData: must be 64 bytes"


async def test_refused__round_to_come__waits_until_it_is_past(devchain, tmp_path):
    await _funded(devchain)
    good = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address)
    round_ = good.ticket.creation_round
    coming = _with(good, aux_data=to_u256(round_ + 1) + b"\1" * 32)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, coming)
        assert (await local.run_once()).waiting == {"ticket creationRound does not have a block hash": 1}
        await devchain.next_round()
        assert (await local.run_once()).lost == 1
    (ticket,) = read_tickets(tmp_path / "store")
    assert ticket.note.startswith("ticket creationRoundBlockHash invalid for creationRound; it waited: ")


async def test_refused__as_rounds_pass__waits_for_the_round_then_is_redeemed_or_lost(devchain, tmp_path):
    await _funded(devchain)
    winner = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await devchain.next_round(initialize=False)
        await put(local.store, winner)
        assert (await local.run_once()).why == {Why.ROUND: 1}
        # The shared view may be older than the round: the contract's own word comes to the same.
        refused = (await local.broker.survey([winner])).trials[winner.ticket.hash].refusal
        assert refused == "current round is not initialized"
        await devchain.initialize_round()
        assert (await local.run_once()).redeemed == 1

        late = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address, nonce=2)
        await put(local.store, late)
        await devchain.next_round()
        await devchain.next_round()
        assert (await local.broker.survey([late])).trials[late.ticket.hash].refusal == "ticket is expired"
        report = await local.run_once()
        assert (report.lost, report.lost_value) == (1, FACE)


async def test_refused__protocol_paused__waits(devchain, tmp_path):
    await _funded(devchain)
    winner = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address)
    owner = dev_signer(DEPLOYER)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, winner)
        await devchain.sender.send(owner, devchain.client.controller.call(Function.parse("pause()")))
        report = await local.run_once()
        assert (report.why, report.waiting) == ({Why.PAUSED: 1}, {"system is paused": 1})
        await devchain.sender.send(owner, devchain.client.controller.call(Function.parse("unpause()")))
        assert (await local.run_once()).redeemed == 1


async def test_refused__sender_unlocked__waits_until_it_funds_itself_again(devchain, tmp_path):
    await _funded(devchain)
    client = devchain.client
    await devchain.sender.send(GATEWAY, client.broker.call(UNLOCK))
    info = await client.broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)
    while await client.rounds.current_round() < info.withdraw_round:
        await devchain.next_round()
    winner = await a_local_winner(client, GATEWAY, ORCHESTRATOR.address)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, winner)
        assert (await local.run_once()).why == {Why.SENDER_UNLOCKED: 1}
        await devchain.give_eth(GATEWAY.address, Wei(10 * ETH))
        await devchain.sender.send(GATEWAY, client.broker.fund_call(Wei(ETH), Wei(0)))
        assert (await local.run_once()).redeemed == 1


async def test_refused__sender_without_funds__waits_until_it_has_some(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    winner = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, winner)
        assert (await local.run_once()).waiting == {"sender deposit and reserve are zero": 1}
        await devchain.fund_gateway(GATEWAY.address, deposit=Wei(FACE), reserve=Wei(0))
        assert (await local.run_once()).paid == FACE


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (ProtocolVersion.LIVE, "transcoder must be active"),
        (ProtocolVersion.EARLY_2024, "transcoder must be registered"),
    ],
)
async def test_refused__recipient_not_active__waits_in_either_wording(tmp_path, protocol, words):
    async with a_devchain(tmp_path / "chain", protocol=protocol) as devchain:
        await _funded(devchain)
        winner = await a_local_winner(devchain.client, GATEWAY, OTHER.address)
        async with LocalRedeeming(devchain, tmp_path, OTHER.address) as local:
            await put(local.store, winner)
            report = await local.run_once()
            assert (report.why, report.waiting) == ({Why.INACTIVE: 1}, {words: 1})


async def test_refused__recipient_not_active_and_no_deposit__is_not_burnt(devchain, tmp_path):
    await _funded(devchain, deposit=0)
    winner = await a_local_winner(devchain.client, GATEWAY, OTHER.address)
    async with LocalRedeeming(devchain, tmp_path, OTHER.address) as local:
        await put(local.store, winner)
        # The contract itself would take it and pay nothing.
        assert (await local.broker.survey([winner])).trials[winner.ticket.hash].refusal is None
        report = await local.run_once()
        assert report.waiting == {"recipient is not active": 1}
        assert not await devchain.client.broker.is_used(winner.ticket.hash)


async def test_refused__pool_grew_after_the_share_was_claimed__waits_for_the_next_round(tmp_path):
    async with a_devchain(tmp_path / "chain", round_length=100) as devchain:
        await _funded(devchain, deposit=0, reserve=2 * FACE)
        async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
            first = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address, face_value=2 * FACE)
            await put(local.store, first)
            assert (await local.run_once()).paid == 2 * FACE  # all of it: the pool is ours alone
            await devchain.fund_gateway(GATEWAY.address, deposit=Wei(0), reserve=Wei(FACE // 2))
            await devchain.activate_orchestrator(OTHER, advance=False)
            await devchain.activate_orchestrator(THIRD, advance=False)
            assert await devchain.client.rounds.current_round() == first.ticket.creation_round
            second = await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address, nonce=2)
            await put(local.store, second)

            survey = await local.broker.survey([second])
            assert survey.trials[second.ticket.hash].refusal == "Panic(0x11)"
            assert survey.funds[GATEWAY.address, ORCHESTRATOR.address].claimable is None
            assert (await local.run_once()).why == {Why.RESERVE_SHARE: 1}

            await devchain.fund_gateway(GATEWAY.address, deposit=Wei(FACE), reserve=Wei(0))
            report = await local.run_once()  # the deposit alone covers it: the share is not looked at
            assert (report.redeemed, report.paid) == (1, FACE)


async def test_used__by_somebody_else__is_settled_with_what_each_was_paid_and_no_transaction(devchain, tmp_path):
    await _funded(devchain, deposit=FACE + FACE // 2, reserve=0)
    winners = [await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address, nonce=nonce) for nonce in (1, 2)]
    await devchain.give_eth(OTHER.address, Wei(ETH))
    call = devchain.client.broker.batch_redeem_call([signed_ticket(winner) for winner in winners])
    sent = await send_raw(devchain, OTHER, call)
    await devchain.mine(30)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        await put(local.store, *winners)
        report = await local.run_once()
        assert (report.used_before, report.sent, report.paid) == (2, 0, FACE + FACE // 2)
    told = {t.winner.ticket.sender_nonce: (t.state, t.note, t.paid) for t in read_tickets(tmp_path / "store")}
    assert told == {
        1: (TicketState.REDEEMED, "found redeemed on chain", FACE),
        2: (TicketState.REDEEMED, "found redeemed on chain", FACE // 2),
    }
    assert {t.tx_hash.hex() for t in read_tickets(tmp_path / "store")} == {sent[2:]}


async def test_sent_all_the_same__reserve_share_claimed_out__is_told_as_paid_nothing(devchain, tmp_path):
    """What the plan prevents: the contract burns such a ticket and succeeds."""
    await devchain.activate_orchestrator(OTHER)
    await _funded(devchain, deposit=0, reserve=FACE)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        first, second = [
            await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address, nonce=nonce) for nonce in (1, 2)
        ]
        await put(local.store, first)
        assert (await local.run_once()).paid == FACE // 2
        await put(local.store, second)
        assert (await local.run_once()).why == {Why.FUNDS: 1}
        mined = await local.broker.redeem([second], gas=1_000_000, limit=SpendLimit())
        assert mined.paid == {second.ticket.hash: 0}


async def test_times__are_read_from_the_chain(devchain, tmp_path):
    await _funded(devchain)
    async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
        rounds = devchain.client.rounds
        times = await local.broker.times(await rounds.current_round())
        assert (times.length, times.validity) == (await rounds.round_length(), 2)
        assert times.start_block == await rounds.current_round_start_block()
        end = times.ends(Round(times.round))
        assert end == BlockNumber(times.start_block + 2 * times.length)
