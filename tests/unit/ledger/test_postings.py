"""Whatever happens, nothing comes from nowhere: entries balance, and the parts of an amount are the amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.logs import Log
from livefleet.kernel import Address, Round
from livefleet.ledger import Account, AccountKind, Currency, Entry, EntryKind, Posting, coins
from livefleet.ledger.events import (
    BOND,
    REBOND,
    REWARD,
    SLASHED,
    TRANSFER,
    TRANSFER_BOND,
    UNBOND,
    WINNING_TICKET_REDEEMED,
    WINNING_TICKET_TRANSFER,
    WITHDRAW_FEES,
    WITHDRAW_STAKE,
    Moment,
    book_logs,
)
from livefleet.ledger.parties import Contracts, Parties
from livefleet.ledger.shares import own_shares, split
from livefleet.ledger.state import Shares
from tests.builders.logs import a_log

pytestmark = pytest.mark.unit

US = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
KEY = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
GATEWAY = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
OTHER = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
RIVAL = Address("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955")
ZERO = Address("0x" + "00" * 20)
PARTIES = Parties.of(US, KEY)
CONTRACTS = Contracts(*(Address("0x" + f"{number:02x}" * 20) for number in range(1, 6)))

addresses = st.sampled_from([US, KEY, GATEWAY, OTHER, RIVAL])
amounts = st.integers(min_value=0, max_value=2**128)
MOMENT = Moment(7, 1000, Round(3))


def moment(_) -> Moment:
    return MOMENT


def book(*logs: Log) -> list[Entry]:
    return book_logs(logs, moment, PARTIES, CONTRACTS)


def balance(entries, kind, currency, party="") -> int:
    return sum(
        posting.amount
        for entry in entries
        for posting in entry.postings
        if (posting.account, posting.currency) == (Account(kind, party), currency)
    )


@st.composite
def any_log(draw) -> Log:
    first, second, third = draw(addresses), draw(addresses), draw(addresses)
    amount, more = draw(amounts), draw(amounts)
    event, values, contract = draw(
        st.sampled_from(
            [
                (BOND, (first, second, third, amount, amount + more), CONTRACTS.bonding),
                (UNBOND, (first, second, 1, amount, 9), CONTRACTS.bonding),
                (REBOND, (first, second, 1, amount), CONTRACTS.bonding),
                (TRANSFER_BOND, (first, second, 1, 2, amount), CONTRACTS.bonding),
                (WITHDRAW_STAKE, (first, 1, amount, 9), CONTRACTS.bonding),
                (WITHDRAW_FEES, (first, second, amount), CONTRACTS.bonding),
                (REWARD, (first, amount), CONTRACTS.bonding),
                (SLASHED, (first, second, amount, more), CONTRACTS.bonding),
                (WINNING_TICKET_TRANSFER, (first, second, amount), CONTRACTS.broker),
                (TRANSFER, (first, second, amount), CONTRACTS.token),
            ]
        )
    )
    return a_log(event, *values, address=contract, index=draw(st.integers(0, 10**6)))


@given(st.lists(any_log(), max_size=20))
def test_book_logs__any_logs__every_entry_balances_in_each_currency(logs):
    entries = book(*logs)
    for currency in Currency:
        assert sum(p.amount for entry in entries for p in entry.postings if p.currency is currency) == 0
    assert {entry.source for entry in entries} <= {f"log:{log.tx_hash.hex()}:{log.log_index}" for log in logs}


@given(st.lists(any_log(), max_size=20))
def test_book_logs__nothing_of_ours_in_them__books_nothing(logs):
    mine = (US, KEY)
    foreign = [log for log in logs if not any(bytes(12) + bytes.fromhex(a[2:]) in log.topics for a in mine)]
    foreign = [log for log in foreign if not any(bytes.fromhex(a[2:]) in log.data for a in mine)]
    assert book(*foreign) == []


def test_entry__postings_that_do_not_balance__is_refused():
    with pytest.raises(ValueError, match="do not balance"):
        Entry("x", EntryKind.TRANSFER, 1, 1, Round(1), (Posting(Account(AccountKind.GAS), Currency.ETH, 1),))


@given(st.integers(-(2**130), 2**130), st.lists(st.integers(1, 2**90), min_size=1, max_size=12))
def test_split__any_weights__parts_add_up_and_stay_near_their_share(amount, weights):
    parts = split(amount, weights)
    assert sum(parts) == amount
    assert all(
        abs(part * sum(weights) - amount * weight) <= sum(weights) for part, weight in zip(parts, weights, strict=True)
    )


def test_bond__of_a_delegator_that_comes_from_elsewhere__brings_all_its_stake():
    entries = book(a_log(BOND, US, RIVAL, OTHER, 5, 105, address=CONTRACTS.bonding))
    assert balance(entries, AccountKind.POOL, Currency.LPT) == 105
    back = book(a_log(BOND, RIVAL, US, OTHER, 5, 105, address=CONTRACTS.bonding))
    assert balance(back, AccountKind.POOL, Currency.LPT) == -100
    more = book(a_log(BOND, US, US, OTHER, 5, 105, address=CONTRACTS.bonding))
    assert balance(more, AccountKind.POOL, Currency.LPT) == 5


def test_own_stake__unbonded_given_away_and_withdrawn__passes_the_locks():
    entries = book(
        a_log(BOND, US, ZERO, US, 1000, 1000, address=CONTRACTS.bonding, index=1),
        a_log(UNBOND, US, US, 0, 300, 9, address=CONTRACTS.bonding, index=2),
        a_log(UNBOND, US, US, 1, 200, 9, address=CONTRACTS.bonding, index=3),
        a_log(TRANSFER_BOND, US, OTHER, 1, 0, 200, address=CONTRACTS.bonding, index=4),
        a_log(REBOND, US, OTHER, 0, 200, address=CONTRACTS.bonding, index=5),
        a_log(WITHDRAW_STAKE, US, 0, 300, 9, address=CONTRACTS.bonding, index=6),
        a_log(TRANSFER, CONTRACTS.minter, US, 300, address=CONTRACTS.token, index=7),
    )
    assert balance(entries, AccountKind.STAKE, Currency.LPT) == 500
    assert balance(entries, AccountKind.UNBONDING, Currency.LPT) == 0
    assert balance(entries, AccountKind.POOL, Currency.LPT) == 200
    assert balance(entries, AccountKind.WALLET, Currency.LPT, US) == 300
    assert balance(entries, AccountKind.OUTSIDE, Currency.LPT, OTHER) == 200


def test_slashing__of_us__lowers_own_stake_and_nobody_elses_news():
    entries = book(a_log(SLASHED, US, OTHER, 40, 10, address=CONTRACTS.bonding))
    assert balance(entries, AccountKind.STAKE, Currency.LPT) == -40
    assert balance(entries, AccountKind.SLASHED, Currency.LPT) == 40
    assert book(a_log(SLASHED, RIVAL, OTHER, 40, 10, address=CONTRACTS.bonding)) == []


def test_redemption__batch_of_full_short_and_zero_pay__names_the_ticket_of_each_fee():
    tickets = [(GATEWAY, US, face, 2**255, nonce, nonce, b"\0" * 64) for nonce, face in ((1, 100), (2, 100), (3, 100))]
    entries = book(
        a_log(WINNING_TICKET_TRANSFER, GATEWAY, US, 100, address=CONTRACTS.broker, index=1),
        a_log(WINNING_TICKET_REDEEMED, *tickets[0], address=CONTRACTS.broker, index=2),
        a_log(WINNING_TICKET_TRANSFER, GATEWAY, US, 30, address=CONTRACTS.broker, index=3),
        a_log(WINNING_TICKET_REDEEMED, *tickets[1], address=CONTRACTS.broker, index=4),
        a_log(WINNING_TICKET_REDEEMED, *tickets[2], address=CONTRACTS.broker, index=5),
    )
    fees = [entry for entry in entries if entry.kind is EntryKind.FEE]
    told = [entry for entry in entries if entry.kind is EntryKind.TICKET]
    assert [fee.ticket for fee in fees] == [told[0].ticket, told[1].ticket]
    assert len({ticket.ticket for ticket in told}) == 3
    assert balance(entries, AccountKind.POOL, Currency.ETH) == 130


def _shares(fees, stake=0, to=US):
    return Shares(fees, stake, to)


def test_own_shares__two_fees_between_readings__are_told_apart_by_amount():
    entries = book(
        a_log(WINNING_TICKET_TRANSFER, GATEWAY, US, 100, address=CONTRACTS.broker, index=1),
        a_log(WINNING_TICKET_TRANSFER, OTHER, US, 300, address=CONTRACTS.broker, index=2),
    )
    found = own_shares((10, 0), [(7, _shares(210))], entries, moment, US)
    assert [(entry.counterparty, entry.postings[0].amount) for entry in found] == [(GATEWAY, 50), (OTHER, 150)]


def test_own_shares__earned_without_a_log__is_booked_as_late_and_once():
    found = own_shares((0, 5), [(7, _shares(3, 5)), (9, _shares(3, 5))], [], moment, US)
    (late,) = found
    assert late.tx_hash == b""
    assert (late.kind, late.postings[0].amount) == (EntryKind.FEE_SHARE, 3)


def test_own_shares__stake_that_lies_with_another_orchestrator__earns_elsewhere():
    found = own_shares((0, 5), [(7, _shares(0, 9, RIVAL))], [], moment, US)
    assert balance(found, AccountKind.ELSEWHERE, Currency.LPT) == -4


@given(st.integers(-(10**30), 10**30))
def test_coins__any_amount__keeps_every_digit(amount):
    text = coins(amount)
    sign = -1 if text.startswith("-") else 1
    whole, _, rest = text.lstrip("-").partition(".")
    assert sign * (int(whole) * 10**18 + int(rest.ljust(18, "0") or 0)) == amount
