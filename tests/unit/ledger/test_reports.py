"""Reports over books that the test writes: several hosts, windows, prices, track records."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from livefleet.kernel import Address, BadInput, Round
from livefleet.ledger import (
    Account,
    AccountKind,
    Books,
    By,
    Currency,
    Entry,
    EntryKind,
    Window,
    combine,
    earnings,
    posted,
    read_prices,
    sums,
    tax_events,
    total,
    wallet,
)
from livefleet.ledger.dump import TicketLine
from livefleet.ledger.tax import TaxKind
from livefleet.ledger.track_record import track_record

pytestmark = pytest.mark.unit

US, KEY = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
GATEWAY, OTHER = Address("0x" + "33" * 20), Address("0x" + "44" * 20)
OWNER = f"1337 {US}"
ETH = 10**18
DAY = 86_400
START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
POOL = Account(AccountKind.POOL)


def an_entry(source, kind, *, block=1, day=0, round_=1, tx=b"", **fields) -> Entry:
    return Entry(
        source, kind, block, START + day * DAY, Round(round_), tx_hash=tx or source.encode().ljust(32, b"."), **fields
    )


def opening(block=0) -> Entry:
    return an_entry("opening", EntryKind.OPENING, block=block, round_=0)


def fee(source, amount, own, *, ticket=b"", gateway=GATEWAY, **fields) -> list[Entry]:
    whole = posted(Currency.ETH, amount, into=POOL, out_of=Account(AccountKind.GATEWAY, gateway))
    share = posted(Currency.ETH, own, into=Account(AccountKind.FEES), out_of=POOL)
    about = {"counterparty": gateway, "ticket": ticket} | fields
    return [
        an_entry(source, EntryKind.FEE, postings=whole, **about),
        an_entry(
            f"{source}t", EntryKind.TICKET, face_value=amount + 1, **about | {"tx": source.encode().ljust(32, b".")}
        ),
        an_entry(f"{source}s", EntryKind.FEE_SHARE, postings=share, **about | {"tx": source.encode().ljust(32, b".")}),
    ]


def gas(source, amount, *, note="", key=US, **fields) -> Entry:
    spent = posted(Currency.ETH, amount, into=Account(AccountKind.GAS), out_of=wallet(key))
    return an_entry(source, EntryKind.GAS, postings=spent, note=note, ours=key, **fields)


def reward(source, amount, own, **fields) -> list[Entry]:
    whole = posted(Currency.LPT, amount, into=POOL, out_of=Account(AccountKind.MINTED))
    share = posted(Currency.LPT, own, into=Account(AccountKind.STAKE), out_of=POOL)
    return [
        an_entry(source, EntryKind.REWARD, postings=whole, **fields),
        an_entry(f"{source}s", EntryKind.REWARD_SHARE, postings=share, **fields),
    ]


def a_ticket(ticket, state="redeemed", face=7) -> TicketLine:
    return TicketLine.model_validate(
        {"hash": ticket.hex(), "sender": GATEWAY, "round": 1, "face_value": str(face), "state": state,
         "received_at": START, "note": ""}
    )  # fmt: skip


def books(host, *entries, tickets=(), owner=OWNER) -> Books:
    return Books(host, owner, tuple(entries), tuple(tickets))


def test_combine__two_hosts_of_one_orchestrator__count_fees_once_and_gas_of_both():
    one, two = b"\1" * 32, b"\2" * 32
    fees = [*fee("a", 100, 60, ticket=one), *fee("b", 200, 120, ticket=two, block=2)]
    first = books("h1", opening(), *fees, gas("g1", 5, note="redeem"), tickets=[a_ticket(one)])
    later = books("h2", opening(1), *fees, gas("g2", 7, key=KEY, note="redeem"), tickets=[a_ticket(two)])
    rows = {row.key: row for row in earnings(combine([later, first]), (By.HOST,))}
    assert {key: (row.fees, row.gas, row.tickets) for key, row in rows.items()} == {
        ("h1",): (100, 5, 1),
        ("h2",): (200, 7, 1),
    }


def test_combine__orchestrators_of_their_own__are_added():
    mine = books("h1", opening(), *fee("a", 100, 60))
    other = books("h2", opening(), *fee("a2", 50, 50), owner=f"1337 {OTHER}")
    assert total(earnings(combine([mine, other]), ())).fees == 150


def test_earnings__tickets_that_wait_or_are_lost__are_told_beside_the_books():
    held = [a_ticket(b"\3" * 32, "pending", 30), a_ticket(b"\4" * 32, "lost", 40), a_ticket(b"\5" * 32, "pending", 50)]
    redeemed_meanwhile = fee("a", 50, 50, ticket=b"\5" * 32)
    (row,) = earnings(combine([books("h", opening(), *redeemed_meanwhile, tickets=held)]), (By.GATEWAY,))
    assert (row.pending, row.lost, row.fees, row.shortfall) == (30, 40, 50, 1)


def test_earnings__by_round__are_in_numeric_order():
    rows = earnings(
        combine([books("h", opening(), *fee("a", 1, 1, round_=10), *fee("b", 1, 1, round_=9))]), (By.ROUND,)
    )
    assert [row.key for row in rows] == [("9",), ("10",)]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(), 111),
        (Window(first_round=2), 110),
        (Window(last_round=2), 11),
        (Window(first_day=date(2026, 3, 2), last_day=date(2026, 3, 2)), 10),
    ],
)
def test_window__by_round_or_day__holds_its_ends(window, expected):
    entries = [e for n, amount in enumerate((1, 10, 100)) for e in fee(str(n), amount, amount, day=n, round_=n + 1)]
    assert total(earnings(combine([books("h", opening(), *entries)]).within(window), ())).fees == expected


def test_tax__transaction_of_several_lines__tells_its_gas_once_on_the_first():
    tx = b"\7" * 32
    entries = [*fee("a", 100, 60, tx=tx), *fee("b", 200, 120, tx=tx)]
    entries = [Entry(e.source, e.kind, e.block, e.at, e.round, e.postings, tx, e.counterparty) for e in entries]
    events = tax_events(combine([books("h", opening(), *entries, gas("g", 9, tx=tx), gas("idle", 4))]))
    assert [(event.kind, event.amount, event.gas) for event in events] == [
        (TaxKind.FEE_INCOME, 60, 9),
        (TaxKind.FEE_INCOME, 120, 0),
        (TaxKind.TRANSACTION, 0, 4),
    ]
    assert sums(events) == {("fee income", Currency.ETH): 180, ("gas", Currency.ETH): 13}


def test_tax__moves_between_own_accounts_and_within_the_protocol__are_no_events():
    own = posted(Currency.ETH, 5, into=wallet(KEY), out_of=wallet(US))
    drawn = posted(Currency.ETH, 5, into=wallet(US), out_of=Account(AccountKind.FEES))
    bonded = posted(Currency.LPT, 5, into=Account(AccountKind.OUTSIDE, OTHER), out_of=wallet(US))
    entries = [
        an_entry("a", EntryKind.GAS, postings=own, ours=US),
        an_entry("b", EntryKind.FEE_WITHDRAWAL, postings=drawn),
        an_entry("c", EntryKind.TRANSFER, postings=bonded, note="protocol"),
    ]
    (idle,) = tax_events(combine([books("h", opening(), *entries)]))
    assert (idle.kind, idle.amount, idle.gas) == (TaxKind.TRANSACTION, 0, 0)


def test_tax__prices__are_those_of_the_day_or_of_a_week_before_at_most(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("date,asset,price\n2026-03-02,ETH,1000\n2026-03-01,ETH,2000.005\n\n2026-02-20,LPT,7\n")
    prices = read_prices(path)
    assert prices.at(Currency.ETH, date(2026, 3, 1)) == Decimal("2000.005")
    assert prices.at(Currency.ETH, date(2026, 3, 9)) == 1000
    assert prices.at(Currency.ETH, date(2026, 3, 10)) is None
    assert prices.at(Currency.ETH, date(2026, 2, 28)) is None
    entries = [*fee("a", ETH, ETH), *reward("r", ETH, ETH), gas("g", ETH)]
    income, rewarded, spent = tax_events(combine([books("h", opening(), *entries)]), prices)
    assert (income.price, income.value) == (Decimal("2000.005"), Decimal("2000.00"))  # half to even
    assert (rewarded.price, rewarded.value) == (None, None)
    assert spent.gas_value == Decimal("2000.00")


@pytest.mark.parametrize("row", ["2026-03-01,ETH,-1", "2026-03-01,ETH,NaN", "2026-3-1,ETH,1", "2026-03-01,ETH", "x"])
def test_read_prices__a_row_that_is_none__names_its_line(tmp_path, row):
    path = tmp_path / "prices.csv"
    path.write_text(f"date,asset,price\n{row}\n")
    with pytest.raises(BadInput, match="line 2"):
        read_prices(path)


def test_track_record__ninety_days_and_rounds__count_what_is_whole():
    entries = [
        *fee("old", 100 * ETH, ETH, day=0, round_=1),
        *fee("new", 3 * ETH, ETH, day=60, round_=70),
        gas("g", ETH, day=60, round_=70),
        *reward("r", 1, 1, day=60, round_=70),
        *reward("r2", 1, 1, day=61, round_=71),
        *reward("now", 1, 1, day=100, round_=120),
    ]
    record = track_record(combine([books("h", opening(), *entries)]), now=START + 100 * DAY, this_round=Round(120))
    assert (record.fees, record.gas, record.days) == (3, 1, 90)
    assert (record.rounds, record.rewarded) == (90, 2)
    fresh = track_record(combine([books("h", opening())]), now=START + DAY, this_round=Round(1))
    assert (fresh.days, fresh.rounds, fresh.reward_call_ratio) == (1, 0, Fraction(1))


def test_combine__second_host_read_shares_at_other_blocks__own_parts_count_once():
    late = posted(Currency.ETH, 9, into=Account(AccountKind.FEES), out_of=POOL)
    first = books("h1", opening(), an_entry("late:fee-share:5", EntryKind.FEE_SHARE, postings=late))
    other = books("h2", opening(1), an_entry("late:fee-share:6", EntryKind.FEE_SHARE, postings=late))
    assert total(earnings(combine([first, other]), ())).own_fees == 9
