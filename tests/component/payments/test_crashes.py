"""kill -9 at every durable point: nothing is credited twice, no winner is lost, none is redeemed twice."""

import asyncio
import os
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

from livefleet.kernel import Refused
from livefleet.payments import TicketState
from livefleet.payments.ticket import Ticket, aux_data, is_winning
from tests.builders.payments import GATEWAY, ToldChain, a_desk, random_of
from tests.component.payments.crash_child import (
    DEBITS,
    EVEN_ODDS,
    EXPIRED,
    SESSIONS,
    TICKETS,
    Ledger,
    Points,
    a_redeemer,
    the_payments,
)

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
PRICE = 1200
FEWEST_POINTS = 60  # the story has more; a count that shrinks says that points are not seen any more


def value_of(payment):
    params = payment.ticket_params
    return Fraction(params.face_value * params.win_prob, 2**256 - 1)


def winners_of(payments, payment):
    """Hashes of the payment's winning tickets, worked out from the protocol."""
    params = payment.ticket_params
    quote = type("Quoted", (), {"ticket_params": params, "price": payment.expected_price})
    rand = random_of(payments, quote)
    for signed in payment.tickets:
        ticket = Ticket(
            recipient=params.recipient,
            sender=GATEWAY,
            face_value=params.face_value,
            win_prob=params.win_prob,
            sender_nonce=signed.nonce,
            recipient_rand_hash=params.recipient_rand_hash,
            aux_data=aux_data(payment.expiration),
        )
        if is_winning(params.win_prob, signed.signature, rand):
            yield ticket.hash.hex()


async def check(folder, sent):
    """What stands after the crash, and after all gateways have sent everything again."""
    told = (folder / "told").read_text().splitlines() if (folder / "told").exists() else []
    accepted = {int(line.split()[1]) for line in told if line.startswith("accepted")}
    chain, ledger = ToldChain(), Ledger(folder / "ledger", Points())
    async with a_desk(folder / "store", chain=chain, ticket=EVEN_ODDS) as (payments, store, _, monitor):
        winners = {index: set(winners_of(payments, payment)) for index, payment in enumerate(sent)}
        assert sum(map(len, winners.values())) >= 2, "the story is about winners too"

        kept = {stored.winner.ticket.hash.hex() for stored in await store.pending()} | set(ledger.lines())
        for index in accepted:
            assert winners[index] <= kept, "an accepted payment's winner is lost"

        fees = [PRICE * units for units in DEBITS]
        balances = (await store.load()).balances
        there = {i for i in range(len(sent)) if is_there(folder, payments, i, sent[i], balances, fees)}
        assert accepted <= there, "an accepted payment's credit is lost"
        debited = sum(value_of(sent[i]) * TICKETS[i] for i in there if SESSIONS[i] == SESSIONS[0]) - (
            balances[GATEWAY, SESSIONS[0]].amount if (GATEWAY, SESSIONS[0]) in balances else 0
        )
        assert debited in {0, fees[0], sum(fees)}
        if 1 in accepted:
            assert debited, "a debit before an accepted payment is lost"

        for payment, session in zip(sent, SESSIONS, strict=True):
            with suppress(Refused):
                await payments.receive(payment, session)
        assert payments.snapshot().received.count == sum(TICKETS), "credited twice, or never"
        assert payments.snapshot().credit == sum(value_of(p) * n for p, n in zip(sent, TICKETS, strict=True)) - debited

        chain.move(l1_block=EXPIRED)
        async with a_redeemer(store, chain, monitor, ledger) as redeemer:
            await redeemer.run_once()
        assert sorted(ledger.lines()) == sorted(set().union(*winners.values())), "redeemed twice, or never"
        totals = store.totals
        assert totals.of(TicketState.REDEEMED).count == len(ledger.lines())
        assert totals.of(TicketState.PENDING).count == totals.of(TicketState.LOST).count == 0
        assert totals.paid == sum(sent[i].ticket_params.face_value * len(w) for i, w in winners.items())


def is_there(folder, payments, index, payment, balances, fees):
    """Whether a payment is on disk; as a whole or not at all, or the nonces and the balance would tell."""
    nonces = [n.nonce for n in payment.tickets]
    known = []
    for nonce in nonces:
        try:
            payments._nonces.check(payment.ticket_params.recipient_rand_hash, GATEWAY, nonce)
        except Refused:
            known.append(nonce)
    pruned = payment.ticket_params.expiration_block < payments._nonces.floor
    assert known in ([], nonces), "half a payment"
    return bool(known) or pruned


async def test_kill_at_every_durable_point__nothing_is_credited_twice_and_no_winner_is_lost(tmp_path):
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.component.payments.crash_child", str(tmp_path)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(120):
            assert await child.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            child.kill()
    places = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(places) > FEWEST_POINTS
    assert "redeemed all" in (places[-1] / "told").read_text()
    async with a_desk(tmp_path / "quotes", ticket=EVEN_ODDS) as (payments, _, _, _):
        sent = await the_payments(payments)  # secret and seeds are those of the story
    for place in places:
        try:
            await check(place, sent)
        except AssertionError as error:
            error.add_note(f"killed at point {place.name} of {len(places)}")
            raise
