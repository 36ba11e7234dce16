"""The books of an orchestrator against a real chain: every account, to the last wei and LPTU."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import pytest

from livefleet.chain import Call, Reverted, TransactionPolicy, Transactions
from livefleet.kernel import Round, Terminal, Wei
from livefleet.ledger import Account, AccountKind, Currency, Difference, EntryKind, Ledger, Parties, wallet
from livefleet.ledger.file import Closing, LedgerFile
from tests.builders.busy_orchestrator import (
    ETH,
    ORCHESTRATOR,
    PARTIES,
    REDEEMER,
    RICH,
    STRANGER,
    begin,
    busy_rounds,
    head,
    redeem,
    reward,
)

pytestmark = pytest.mark.component


def _moved(entries, kind, account, currency) -> int:
    return sum(
        posting.amount
        for entry in entries
        if entry.kind is kind
        for posting in entry.postings
        if (posting.account, posting.currency) == (account, currency)
    )


async def test_advance__busy_rounds__meets_the_chain_to_the_wei(devchain, tmp_path):
    begun = await begin(devchain)
    await busy_rounds(devchain)
    async with Ledger(devchain.client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun) as ledger:
        await ledger.advance(await head(devchain))
        checked = await ledger.check()
        assert (checked.differences, checked.unexplained) == ((), 0)
        assert checked.balanced
        entries, balances = await ledger.entries(), await ledger.balances()
    tickets = [entry for entry in entries if entry.kind is EntryKind.TICKET]
    fees = [entry for entry in entries if entry.kind is EntryKind.FEE]
    assert (len(tickets), len(fees)) == (12, 9)  # three were used up for nothing
    assert {fee.ticket for fee in fees} < {ticket.ticket for ticket in tickets}
    paid = sum(fee.postings[0].amount for fee in fees)
    assert 0 < paid < sum(ticket.face_value for ticket in tickets)
    own = _moved(entries, EntryKind.FEE_SHARE, Account(AccountKind.FEES), Currency.ETH)
    assert balances[Account(AccountKind.POOL), Currency.ETH] == paid - own
    taken = [entry.counterparty for entry in entries if entry.kind is EntryKind.FEE_WITHDRAWAL]
    assert taken == [ORCHESTRATOR.address, STRANGER.address]
    outside = {account.party: amount for (account, _), amount in balances.items() if account.kind == "outside"}
    assert outside[RICH.address] == -12_345


async def test_advance__one_fee__own_part_is_the_cut_and_the_share_of_own_stake(devchain, tmp_path):
    begun = await begin(devchain)
    await devchain.fund_gateway(RICH.address, deposit=Wei(ETH), reserve=Wei(ETH))
    await devchain.next_round()
    await redeem(devchain, RICH, face=ETH // 10, nonce=1)
    async with Ledger(devchain.client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun) as ledger:
        await ledger.advance(await head(devchain))
        entries = await ledger.entries()
    own = _moved(entries, EntryKind.FEE_SHARE, Account(AccountKind.FEES), Currency.ETH)
    cut = Fraction(ETH, 10) * Fraction(500_000, 10**6)
    assert abs(own - (cut + cut * Fraction(1000, 1500))) <= 2


@pytest.mark.parametrize("span", [1, 7, 1000])
async def test_advance__in_any_pieces__gives_the_same_books(devchain, tmp_path, span):
    begun = await begin(devchain)
    await devchain.fund_gateway(RICH.address, deposit=Wei(ETH), reserve=Wei(ETH))
    await redeem(devchain, RICH, face=ETH // 97, nonce=1)
    await reward(devchain)
    await devchain.sender.send(RICH, Call(to=ORCHESTRATOR.address, data=b"", value=Wei(5)))
    last = await head(devchain)
    whole, pieces = tmp_path / "whole.sqlite3", tmp_path / "pieces.sqlite3"
    async with Ledger(devchain.client, whole, PARTIES, begin_at=begun) as ledger:
        await ledger.advance(last)
        expected = await ledger.balances()
    for _ in range(2):  # opened again, it goes on and books nothing twice
        async with Ledger(devchain.client, pieces, PARTIES, begin_at=begun, span=span) as ledger:
            await ledger.advance(last - 1)
    async with Ledger(devchain.client, pieces, PARTIES, begin_at=begun, span=span) as ledger:
        await ledger.advance(last)
        assert await ledger.balances() == expected
        assert (await ledger.check()).balanced


async def test_advance__own_transactions__are_named_by_their_purpose_also_when_they_failed(devchain, tmp_path):
    begun = await begin(devchain)
    client = devchain.client
    async with Transactions(
        client.rpc, REDEEMER, tmp_path / "transactions.sqlite3", chain_id=client.chain_id
    ) as transactions:
        await transactions.send("greet", Call(to=STRANGER.address, data=b"", value=Wei(3)))
        async with Ledger(client, tmp_path / "ledger.sqlite3", PARTIES, gas=(transactions,), begin_at=begun) as ledger:
            await ledger.advance(await head(devchain))
            assert (await ledger.check()).balanced
            await transactions.send("greet again", Call(to=STRANGER.address, data=b"", value=Wei(4)))
            await ledger.advance(await head(devchain))
            spent = [entry for entry in await ledger.entries() if entry.kind is EntryKind.GAS]
            assert [entry.note for entry in spent] == ["greet", "greet again"]
            assert {(entry.ours, entry.counterparty) for entry in spent} == {(REDEEMER.address, STRANGER.address)}


async def test_advance__own_transaction_that_is_not_settled_yet__is_named_and_booked_once(devchain, tmp_path):
    begun = await begin(devchain)
    client = devchain.client
    async with Transactions(
        *(client.rpc, REDEEMER, tmp_path / "transactions.sqlite3"),
        chain_id=client.chain_id,
        policy=TransactionPolicy(poll_s=0.05, confirmations=3),
    ) as transactions:
        await transactions.send("greet", Call(to=STRANGER.address, data=b"", value=Wei(3)))
        async with Ledger(client, tmp_path / "ledger.sqlite3", PARTIES, gas=(transactions,), begin_at=begun) as ledger:
            await ledger.advance(await head(devchain))
            assert await transactions.live()
            await devchain.mine(3)
            async with asyncio.timeout(10):
                while await transactions.live():
                    await asyncio.sleep(0.02)
            await ledger.advance(await head(devchain))
            spent = [entry for entry in await ledger.entries() if entry.kind is EntryKind.GAS]
            assert [entry.note for entry in spent] == ["greet"]
            assert (await ledger.check()).balanced


async def test_advance__failed_transaction_of_another_wallet__costs_its_gas_only(devchain, tmp_path):
    begun = await begin(devchain)
    broker = devchain.client.broker
    with pytest.raises(Reverted):  # the value that it carries is not what it says, and stays
        await devchain.sender.send(ORCHESTRATOR, replace(broker.fund_call(Wei(2), Wei(3)), value=Wei(4)))
    async with Ledger(devchain.client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun) as ledger:
        await ledger.advance(await head(devchain))
        assert (await ledger.check()).balanced
        (spent,) = [entry for entry in await ledger.entries() if entry.kind is EntryKind.GAS]
        assert spent.note == "(failed)"
        assert {posting.account for posting in spent.postings} == {
            Account(AccountKind.GAS),
            wallet(ORCHESTRATOR.address),
        }


async def test_check__books_that_miss_a_booking__names_the_account_and_both_amounts(devchain, tmp_path):
    begun = await begin(devchain)
    path = tmp_path / "ledger.sqlite3"
    async with Ledger(devchain.client, path, PARTIES, begin_at=begun) as ledger:
        await ledger.advance(begun)
        before = await ledger.balances()
        await devchain.give_lpt(ORCHESTRATOR.address, 7)
        last = await head(devchain)
        file = LedgerFile(path, chain_id=devchain.client.chain_id, orchestrator=ORCHESTRATOR.address)
        file.book([], Closing(last, Round(1), 0))
        file.close()
        (difference,) = (await ledger.check()).differences
        account = wallet(ORCHESTRATOR.address)
        assert difference == Difference(account, Currency.LPT, before.get((account, Currency.LPT), 0), 7)
        assert str(difference) == f"wallet:{ORCHESTRATOR.address}: booked 0 LPTU, on chain 7 (+7)"


async def test_advance__node_gets_another_key__opens_its_wallet_with_what_it_held(devchain, tmp_path):
    begun = await begin(devchain)
    path = tmp_path / "ledger.sqlite3"
    async with Ledger(devchain.client, path, Parties.of(ORCHESTRATOR.address), begin_at=begun) as ledger:
        await ledger.advance(begun)
    await devchain.give_lpt(REDEEMER.address, 4)
    await devchain.mine(3)
    async with Ledger(devchain.client, path, Parties.of(ORCHESTRATOR.address), begin_at=begun) as ledger:
        await ledger.advance(await head(devchain))
    await devchain.sender.send(RICH, Call(to=REDEEMER.address, data=b"", value=Wei(5)))
    async with Ledger(devchain.client, path, PARTIES) as ledger:
        await ledger.advance(await head(devchain))
        assert (await ledger.check()).balanced
        openings = [entry for entry in await ledger.entries() if entry.kind is EntryKind.OPENING]
        assert [entry.source for entry in openings] == ["opening", f"opening:{REDEEMER.address}"]
        (gift,) = [entry for entry in await ledger.entries() if entry.kind is EntryKind.TRANSFER]
        assert gift.counterparty == RICH.address


async def test_advance__chain_reorganised_below_the_books__stops_rather_than_book_on(devchain, tmp_path):
    begun = await begin(devchain)
    async with Ledger(devchain.client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun) as ledger:
        await reward(devchain)
        await ledger.advance(await head(devchain))
        await devchain.reorganise(1)
        await devchain.mine(2)
        with pytest.raises(Terminal, match="reorganised deeper than"):
            await ledger.advance(await head(devchain))
