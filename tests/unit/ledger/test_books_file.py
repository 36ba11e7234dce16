"""The file of books: written once a source, never changed, and its balances are the sums of what is in it."""

import sqlite3
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.kernel import Address, BadInput, Round
from livefleet.ledger import (
    Account,
    AccountKind,
    Books,
    Closing,
    Currency,
    Entry,
    EntryKind,
    dump_lines,
    parse_dump,
    posted,
)
from livefleet.ledger.dump import TicketLine
from livefleet.ledger.file import LedgerFile, read_ledger

pytestmark = pytest.mark.unit

US = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OTHER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")


def an_entry(source="a", amount=5, **fields) -> Entry:
    values = {
        "source": source, "kind": EntryKind.FEE, "block": 3, "at": 100, "round": Round(7), "tx_hash": b"\1" * 32,
        "postings": posted(
            Currency.ETH, amount, into=Account(AccountKind.POOL), out_of=Account(AccountKind.GATEWAY, OTHER)
        ),
    } | fields  # fmt: skip
    return Entry(**values)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite3"


def opened(path, chain_id=1337, orchestrator=US) -> LedgerFile:
    return LedgerFile(path, chain_id=chain_id, orchestrator=orchestrator)


def test_book__same_source_again__changes_nothing(path):
    file = opened(path)
    assert file.book([an_entry()], Closing(3, Round(7), 100)) == 1
    assert file.book([an_entry(amount=9)], Closing(4, Round(7), 101), {"gas": 8}) == 0
    assert file.balances()[Account(AccountKind.POOL), Currency.ETH] == 5
    assert (file.closing, file.cursor("gas"), file.cursor("other")) == (Closing(4, Round(7), 101), 8, 0)
    file.close()
    again = opened(path)
    assert [entry.source for entry in again.entries()] == ["a"]
    again.close()


def test_book__entry_that_cannot_be_written__leaves_nothing_of_its_batch(path):
    file = opened(path)
    broken = an_entry("b")
    object.__setattr__(broken, "at", object())
    with pytest.raises(sqlite3.Error):
        file.book([an_entry(), broken], Closing(9, Round(7), 100))
    assert (file.closing, list(file.entries()), dict(file.balances())) == (None, [], {})
    file.close()


@pytest.mark.parametrize(
    "change",
    ["UPDATE entries SET block = 1", "DELETE FROM entries", "UPDATE postings SET amount = '0'", "DELETE FROM postings"],
)
def test_file__somebody_changes_an_entry__is_refused(path, change):
    file = opened(path)
    file.book([an_entry()], Closing(3, Round(7), 100))
    file.close()
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError, match="is never"):
        db.execute(change)
    db.close()


def test_open__books_of_another__is_refused_and_left_alone(path):
    opened(path).close()
    before = path.read_bytes()
    with pytest.raises(BadInput, match="not of 1337, 0x3C44"):
        opened(path, orchestrator=OTHER)
    with pytest.raises(BadInput, match="not of 1, 0x7099"):
        opened(path, chain_id=1)
    assert path.read_bytes() == before


def test_read__no_ledger__is_bad_input(path, tmp_path):
    with pytest.raises(BadInput, match="cannot open"):
        read_ledger(tmp_path / "none")
    path.write_text("hello")
    with pytest.raises(BadInput, match="is no ledger"):
        read_ledger(path)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**100), 2**100)), max_size=20))
def test_balances__any_entries_some_twice__are_the_sums_of_postings(tmp_path_factory, moves):
    path = tmp_path_factory.mktemp("books") / "ledger.sqlite3"
    file = opened(path)
    for source, amount in moves:
        file.book([an_entry(str(source), amount)], Closing(3, Round(7), 100))
    sums = Counter()
    for entry in file.entries():
        for posting in entry.postings:
            sums[posting.account, posting.currency] += posting.amount
    assert dict(file.balances()) == dict(sums)
    assert sum(sums.values()) == 0
    file.close()
    assert len(read_ledger(path)[1]) == len({source for source, _ in moves})


def test_dump__entries_and_tickets__come_back_the_same():
    entries = [
        an_entry(amount=2**90, counterparty=OTHER, note="x", ticket=b"\2" * 32),
        an_entry("b", kind=EntryKind.TICKET, postings=(), face_value=2**80, ours=US),
    ]
    ticket = TicketLine.model_validate(
        {
            "hash": "02" * 32,
            "sender": OTHER,
            "round": 7,
            "face_value": str(2**80),
            "state": "pending",
            "received_at": 1.5,
            "note": "waits",
        }
    )
    text = "\n".join(dump_lines("node", f"1337 {US}", entries, [ticket]))
    assert parse_dump(text, where="here") == Books("node", f"1337 {US}", tuple(entries), (ticket,))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"line": "ledger"}', '{"line": "entry", "source": 1}', "no json"])
def test_parse_dump__what_is_none__is_bad_input_that_names_the_place(text):
    with pytest.raises(BadInput, match="here"):
        parse_dump(text, where="here")
