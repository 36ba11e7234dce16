"""The first block at which a balance is not the booked one, found in few requests."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Address, Round
from livefleet.ledger import Account, AccountKind, Currency, Entry, EntryKind, posted, wallet
from livefleet.ledger.wallet_search import Period, _first_change

pytestmark = pytest.mark.unit

US = Address("0x" + "11" * 20)


class Balances:
    """The part of an Rpc that is asked: wei by block."""

    def __init__(self, of):
        self.of = of
        self.batches = 0

    async def batch(self, requests):
        self.batches += 1
        return [hex(self.of(int(at, 16))) for _, (_, at) in requests]


@given(st.data())
async def test_first_change__any_moves_booked_and_not__is_the_first_that_is_not_booked(data):
    first = data.draw(st.integers(0, 50))
    last = data.draw(st.integers(first + 1, first + 5000))
    blocks = st.integers(first + 1, last)
    booked = data.draw(st.dictionaries(blocks, st.integers(1, 9), max_size=5))
    unknown = data.draw(st.dictionaries(blocks, st.integers(1, 9), min_size=1, max_size=3))

    def balance(at):
        return 1000 + sum(amount for moves in (booked, unknown) for block, amount in moves.items() if block <= at)

    entries = [
        Entry(str(block), EntryKind.TRANSFER, block, 0, Round(1), posted(
            Currency.ETH, amount, into=wallet(US), out_of=Account(AccountKind.OUTSIDE)
        ))
        for block, amount in booked.items()
    ]  # fmt: skip
    rpc = Balances(balance)
    found = await _first_change(rpc, US, Period(first, last, 1000), entries, first)
    assert found == min(unknown)
    assert rpc.batches <= 2 + math.log(max(last - first, 2), 8)
