"""The TicketBroker of the local chain against the known answers of the protocol's own contracts."""

from dataclasses import replace

import pytest

from livefleet.chain import Reverted, keccak256
from livefleet.chain.abi import Function
from livefleet.chain.contracts.ticket_broker import RESERVE_CLAIMED, UNLOCK
from livefleet.kernel import ZERO_ADDRESS, Wei, WinProb, to_u256
from tests.builders.chain import VECTORS, Ticket, a_devchain, a_ticket, vector_ticket
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.chain import Devchain
from tests.devchain.toolchain import compile_contracts, default_cache, install

pytestmark = pytest.mark.component

GATEWAY, ORCHESTRATOR, OTHER, REDEEMER = (dev_signer(index) for index in (4, 1, 2, 7))
REVERTS = {case: text.removeprefix("execution reverted: ") for case, text in VECTORS["revertsByCase"].items()}
ETH = 10**18


async def _funded(chain: Devchain, *, deposit: int = ETH, reserve: int = ETH) -> None:
    await chain.activate_orchestrator(ORCHESTRATOR)
    await chain.fund_gateway(GATEWAY.address, deposit=Wei(deposit), reserve=Wei(reserve))


async def _redeem(chain: Devchain, ticket: Ticket) -> list[tuple]:
    (receipt,) = await chain.sender.send(REDEEMER, ticket.redeem_call(chain.client.broker))
    return receipt["logs"]


async def _reason(chain: Devchain, ticket: Ticket) -> str:
    with pytest.raises(Reverted) as refused:
        await chain.client.rpc.simulate(ticket.redeem_call(chain.client.broker), REDEEMER.address)
    return refused.value.reason


async def _pretend_round(chain: Devchain, number: int, block_hash: bytes) -> None:
    """Go to a round and give it the hash that the known tickets were made with."""
    while await chain.client.rounds.current_round() < number - 1:
        await chain.next_round(initialize=False)
    await chain.next_round()
    cache = default_cache()
    slot = compile_contracts(install(cache), cache)["RoundsManager"].slots["hashes"]
    place = keccak256(to_u256(number), to_u256(slot))
    await chain.client.rpc.request(
        "anvil_setStorageAt", chain.client.rounds.address, "0x" + place.hex(), "0x" + block_hash.hex()
    )


async def test_redeem__known_tickets__win_and_lose_as_known(tmp_path):
    vectors = VECTORS["tickets"]
    async with a_devchain(tmp_path / "chain", round_length=30) as chain:
        await _funded(chain)
        await chain.activate_orchestrator(OTHER)
        known_hash = bytes.fromhex(vectors[0]["creationRoundBlockHash"][2:])
        await _pretend_round(chain, vectors[0]["creationRound"], known_hash)
        for vector in vectors:
            ticket = vector_ticket(vector)
            if vector["wins"]:
                await _redeem(chain, ticket)
                assert await chain.client.broker.is_used(ticket.hash)
            else:
                assert f"execution reverted: {await _reason(chain, ticket)}" == vector["chainError"]


async def test_redeem__winning_ticket__moves_its_face_value_to_the_recipients_fees(devchain):
    await _funded(devchain)
    client = devchain.client
    before = await client.broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)
    ticket = await a_ticket(client, GATEWAY, ORCHESTRATOR.address)
    await _redeem(devchain, ticket)
    after = await client.broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)
    assert await client.broker.is_used(ticket.hash)
    assert before.deposit - after.deposit == ticket.face_value
    assert await client.bonding.pending_fees(ORCHESTRATOR.address) == ticket.face_value
    assert await _reason(devchain, ticket) == REVERTS["redeem used"]


async def test_redeem__more_than_the_deposit__takes_this_recipients_share_of_the_reserve(devchain):
    await devchain.activate_orchestrator(OTHER)
    await _funded(devchain, deposit=ETH // 100, reserve=ETH)
    client = devchain.client
    share = await client.broker.claimable_reserve(GATEWAY.address, ORCHESTRATOR.address)
    assert share == ETH // 2
    logs = await _redeem(devchain, await a_ticket(client, GATEWAY, ORCHESTRATOR.address, face_value=Wei(ETH)))
    assert any(log["topics"][0] == "0x" + RESERVE_CLAIMED.topic.hex() for log in logs)
    info = await client.broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)
    assert (info.deposit, info.reserve_remaining) == (0, ETH // 2)
    assert info.reserve_claimed_in_round == info.reserve_claimed_by_recipient == ETH // 2
    assert await client.broker.claimable_reserve(GATEWAY.address, ORCHESTRATOR.address) == 0
    assert await client.bonding.pending_fees(ORCHESTRATOR.address) == ETH // 100 + ETH // 2


async def test_redeem__ticket_that_breaks_a_rule__reverts_with_the_protocols_words(devchain):
    await _funded(devchain)
    good = await a_ticket(devchain.client, GATEWAY, ORCHESTRATOR.address)
    round_, round_hash = good.aux_data[:32], good.aux_data[32:]
    r, s, v = good.signature[:32], good.signature[32:64], good.signature[64]
    high_s = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - int.from_bytes(s, "big")
    future = to_u256(int.from_bytes(round_, "big") + 5) + round_hash
    bad = {
        "redeem loser": replace(good, win_prob=WinProb(0)).signed(GATEWAY),
        "bad recipientRand": replace(good, recipient_rand=8),
        "bad sig": good.signed(OTHER),
        "short sig": replace(good, signature=good.signature[:64]),
        "sig v 0/1": replace(good, signature=r + s + bytes([v - 27])),
        "sig high s": replace(good, signature=r + to_u256(high_s) + bytes([v])),
        "recipient null": replace(good, recipient=ZERO_ADDRESS).signed(GATEWAY),
        "aux empty": replace(good, aux_data=b"").signed(GATEWAY),
        "aux future round": replace(good, aux_data=future).signed(GATEWAY),
        "aux wrong hash": replace(good, aux_data=round_ + b"\1" * 32).signed(GATEWAY),
        "sender without funds": replace(good, sender=OTHER.address).signed(OTHER),
    }
    answers = {case: await _reason(devchain, ticket) for case, ticket in bad.items()}
    assert answers == {case: REVERTS[case] for case in bad}
    inactive = replace(good, recipient=OTHER.address).signed(GATEWAY)
    assert await _reason(devchain, inactive) == "transcoder must be active"


async def test_redeem__as_rounds_pass__uninitialized_then_expired(devchain):
    await _funded(devchain)
    ticket = await a_ticket(devchain.client, GATEWAY, ORCHESTRATOR.address)
    await devchain.next_round(initialize=False)
    assert await _reason(devchain, ticket) == REVERTS["redeem in uninitialised round"]
    await devchain.initialize_round()
    await devchain.client.rpc.simulate(ticket.redeem_call(devchain.client.broker), REDEEMER.address)
    await devchain.next_round()
    assert await _reason(devchain, ticket) == REVERTS["redeem expired (creationRound+2)"]


async def test_redeem__sender_that_unlocked_or_system_paused__reverts(devchain):
    await _funded(devchain)
    client = devchain.client
    unlock = client.broker.call(UNLOCK)
    await devchain.sender.send(GATEWAY, unlock)
    with pytest.raises(Reverted, match=REVERTS["unlock twice"]):
        await client.rpc.simulate(unlock, GATEWAY.address)
    with pytest.raises(Reverted, match=REVERTS["withdraw locked"]):
        await client.rpc.simulate(client.broker.withdraw_call(), GATEWAY.address)
    info = await client.broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)
    while await client.rounds.current_round() < info.withdraw_round:
        await devchain.next_round()
    ticket = await a_ticket(client, GATEWAY, ORCHESTRATOR.address)
    assert await _reason(devchain, ticket) == REVERTS["redeem after withdrawRound"]
    await devchain.sender.send(GATEWAY, client.broker.withdraw_call())
    assert (await client.broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)).deposit == 0
    pause = Function.parse("pause()")
    await devchain.sender.send(dev_signer(DEPLOYER), client.controller.call(pause))
    assert await client.controller.paused()
    assert await _reason(devchain, ticket) == REVERTS["paused: redeem"]


async def test_fund__value_that_does_not_add_up__reverts(devchain):
    call = replace(devchain.client.broker.fund_call(Wei(5), Wei(6)), value=Wei(10))
    with pytest.raises(Reverted, match=REVERTS["fund value mismatch"]):
        await devchain.client.rpc.simulate(call, GATEWAY.address)
