from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import BlockNumber, SessionId
from livefleet.payments import BadPayment, Balance, Balances, OffchainPayments
from livefleet.payments.nonces import KEEP_BLOCKS, MAX_NONCES, Nonces
from tests.builders.payments import GATEWAY, HandClock, no_tickets

pytestmark = pytest.mark.unit

ACCOUNT = (GATEWAY, SessionId("aabbccdd"))
HASH = b"\x07" * 32


@given(st.lists(st.fractions(-(10**18), 10**18, max_denominator=10**9)))
def test_balances__any_changes__are_conserved_exactly(changes):
    balances = Balances(HandClock())
    for change in changes:
        balances.change(ACCOUNT, change)

    assert balances.total() == sum(changes, Fraction(0))
    assert balances.amount(ACCOUNT) == (sum(changes, Fraction(0)) if changes else None)


def test_balances__first_positive_price__stays():
    balances = Balances(HandClock())
    balances.change(ACCOUNT, Fraction(1), fixed_price=Fraction(0))
    assert balances.fixed_price(ACCOUNT) is None
    balances.change(ACCOUNT, Fraction(1), fixed_price=Fraction(7))
    balances.change(ACCOUNT, Fraction(1), fixed_price=Fraction(8))

    assert balances.fixed_price(ACCOUNT) == 7


def test_balances__idle_for_ten_minutes__are_dropped_and_no_sooner():
    clock = HandClock()
    balances = Balances(clock, [(ACCOUNT, Balance(Fraction(5), Fraction(1), clock.now()))])
    clock.time += 600
    assert balances.drop_idle() == ()
    balances.touch(ACCOUNT)
    clock.time += 600
    assert balances.drop_idle() == ()
    clock.time += 1
    assert balances.drop_idle() == (ACCOUNT,)
    assert balances.amount(ACCOUNT) is None


def test_nonces__too_many__are_refused():
    nonces = Nonces({})
    for nonce in range(MAX_NONCES):
        nonces.reserve(HASH, 100, GATEWAY, nonce)

    with pytest.raises(BadPayment, match=f"^invalid ticket senderNonce: too many values sender={GATEWAY} nonce=600$"):
        nonces.reserve(HASH, 100, GATEWAY, MAX_NONCES)
    with pytest.raises(BadPayment, match="already seen"):
        nonces.reserve(HASH, 100, GATEWAY, 5)


def test_nonces__parameters_just_expired__are_still_known():
    nonces = Nonces({})
    nonces.reserve(HASH, 100, GATEWAY, 1)

    assert nonces.prune(BlockNumber(100 + KEEP_BLOCKS)) is None
    with pytest.raises(BadPayment):
        nonces.check(HASH, GATEWAY, 1)
    assert nonces.prune(BlockNumber(101 + KEEP_BLOCKS)) == 101
    nonces.check(HASH, GATEWAY, 1)


async def test_offchain__any_payment__is_accepted_and_free():
    payments = OffchainPayments()
    payment = no_tickets(sender=None, price_per_unit=None)

    quote = await payments.quote(None)
    await payments.receive(payment, SessionId("x"))
    payments.require_balance(payment, SessionId("x"))

    assert (quote.price, quote.ticket_params) == (None, None)
    assert payments.debit(payment, SessionId("x"), 10**9) == 0
    assert not payments.snapshot().on_chain
