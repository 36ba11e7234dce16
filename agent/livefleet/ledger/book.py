"""The ledger itself: carried forward block by block from the chain, and compared with it."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from livefleet.chain import ChainClient
from livefleet.chain.contracts.rounds_manager import LAST_INITIALIZED_ROUND
from livefleet.chain.logs import Log, LogReader
from livefleet.kernel import BadInput, Blocking, Round, Terminal, Transient
from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, wallet
from livefleet.ledger.calendar import Calendar, read_headers
from livefleet.ledger.events import EVENTS, NEW_ROUND, book_logs
from livefleet.ledger.file import Balances, Closing, LedgerFile
from livefleet.ledger.opening import opening_entry, opening_of_wallets
from livefleet.ledger.parties import Contracts, Parties
from livefleet.ledger.shares import own_shares
from livefleet.ledger.spending import GasSource, settled_up_to, to_entry, under_way_up_to
from livefleet.ledger.state import PAST_FORGOTTEN, eth_at, forgets_past, read_shares, read_state
from livefleet.ledger.steady import SteadyReads
from livefleet.ledger.wallet_search import Period, explain

__all__ = ["Checked", "Difference", "Ledger"]

log = logging.getLogger(__name__)

_SPAN = 50_000  # L2 blocks booked at once: what a crash makes read again
_READINGS_LIMIT = 300  # of the own part in one span


@dataclass(frozen=True, slots=True)
class Difference:
    """An account that the books and the chain do not agree on."""

    account: Account
    currency: Currency
    expected: int  # booked, wei or LPTU
    found: int  # on chain

    def __str__(self) -> str:
        unit = "wei" if self.currency is Currency.ETH else "LPTU"
        return f"{self.account}: booked {self.expected} {unit}, on chain {self.found} ({self.found - self.expected:+})"


@dataclass(frozen=True, slots=True)
class Checked:
    """The books against the chain at one block."""

    block: int
    round: Round
    differences: tuple[Difference, ...]
    unexplained: int  # wei that wallets moved without a known reason, signs left out

    @property
    def balanced(self) -> bool:
        """Whether every account agrees to the last wei and LPTU, and all is explained."""
        return not self.differences and not self.unexplained


class Ledger:
    """One orchestrator's books. An async context manager that owns the file and its thread.

    `gas`: where our keys' settled transactions are told; what others sent with them is found by balances. `begin_at`:
    the L2 block to open the books at; None: the first block that they are carried to.
    """

    def __init__(
        self,
        client: ChainClient,
        path: Path,
        parties: Parties,
        *,
        gas: Sequence[GasSource] = (),
        begin_at: int | None = None,
        span: int = _SPAN,
    ) -> None:
        self._client = client
        self._path = path
        self._parties = parties
        self._contracts = Contracts.of(client)
        self._gas = tuple(gas)
        self._begin_at = begin_at
        self._span = span
        self._logs = LogReader(client.rpc)
        self._steady = SteadyReads(client.rpc)
        self._blocking = Blocking("ledger")
        self._opened: LedgerFile | None = None

    async def __aenter__(self) -> Self:
        try:
            self._opened = await self._blocking.run(self._open_file)
        except BaseException:
            await self._blocking.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._blocking.run(self._file.close)
        await self._blocking.__aexit__(kind, error, trace)

    @property
    def parties(self) -> Parties:
        """Whose books these are."""
        return self._parties

    async def closing(self) -> Closing | None:
        """How far the books reach; None before they are opened."""
        return await self._blocking.run(lambda: self._file.closing)

    async def balances(self) -> Balances:
        """Every account's balance."""
        return await self._blocking.run(self._file.balances)

    async def entries(self) -> list[Entry]:
        """Every entry, by block."""
        return await self._blocking.run(lambda: list(self._file.entries()))

    async def advance(self, block: int) -> Closing:
        """Book all up to `block`, which no reorganisation may undo any more; a cut-off run goes on where it was.

        Raises Transient while the chain cannot be read, BadInput where the books cannot be opened at `begin_at`,
        Terminal where the chain has another block than the one that the books reached.
        """
        closing = await self.closing()
        if closing is None:
            closing = await self._open_books(min(block, self._begin_at or block))
        elif closing.block < block:
            await self._recognise(closing)
        while closing.block < block:
            closing = await self._carry(closing, min(block, closing.block + self._span))
            log.info("ledger.carried", extra={"block": closing.block, "to": block, "round": closing.round})
        return closing

    async def check(self) -> Checked:
        """Compare every account that is ours with the chain, at the block that the books reach."""
        closing = await self.closing()
        if closing is None:
            raise Transient("the books are not open yet")
        booked = await self.balances()
        state = await self._steady.at(closing.block, lambda: read_state(self._client, self._parties, closing.block))
        differences = tuple(
            Difference(account, currency, booked.get((account, currency), 0), found)
            for (account, currency), found in state.balances.items()
            if booked.get((account, currency), 0) != found
        )
        unexplained = await self._blocking.run(self._file.unexplained)
        return Checked(closing.block, closing.round, differences, unexplained)

    @property
    def _file(self) -> LedgerFile:
        assert self._opened is not None, "the ledger was not entered"
        return self._opened

    def _open_file(self) -> LedgerFile:
        return LedgerFile(self._path, chain_id=self._client.chain_id, orchestrator=self._parties.orchestrator)

    async def _open_books(self, block: int) -> Closing:
        try:
            state = await self._steady.at(block, lambda: read_state(self._client, self._parties, block))
            ((round_,),) = await self._client.rpc.read_all(
                [self._client.rounds.read(LAST_INITIALIZED_ROUND)], block=block
            )
        except Transient as error:
            if forgets_past(error):
                raise BadInput(f"the ledger cannot begin at block {block}: {PAST_FORGOTTEN}: {error}") from error
            raise
        (header,) = await read_headers(self._client.rpc, [block])
        at = header.timestamp
        closing = Closing(block, Round(round_), at, header.hash)
        entry = opening_entry("opening", state.balances, closing)
        await self._blocking.run(self._file.book, [entry], closing)
        log.info("ledger.opened", extra={"block": block, "orchestrator": self._parties.orchestrator})
        return closing

    async def _carry(self, closing: Closing, last: int) -> Closing:
        """Book the blocks after `closing` up to `last`."""
        held = await self._with_new_wallets(closing)
        entries, after, cursors = await self._steady.at(last, lambda: self._read_on(closing, last, held))
        await self._blocking.run(self._file.book, entries, after, cursors)
        return after

    async def _read_on(
        self, closing: Closing, last: int, held: Balances
    ) -> tuple[list[Entry], Closing, dict[str, int]]:
        """The entries of the blocks after `closing` up to `last`, how far that brings the books, gas cursors there."""
        logs = await self._read_logs(closing.block + 1, last)
        calendar = Calendar(self._client.rpc, closing, logs)
        await calendar.learn([*(entry.block_number for entry in logs), last])
        entries = book_logs(logs, lambda entry: calendar.at(entry.block_number), self._parties, self._contracts)
        spent, cursors = await self._spending(closing.block, last, calendar)
        entries += spent
        entries += await self._own_parts(closing.block, last, held, entries, calendar)
        ends = await eth_at(self._client.rpc, [(address, last) for address in self._parties.wallets])
        for address, found in zip(self._parties.wallets, ends, strict=True):
            before = held.get((wallet(address), Currency.ETH), 0)
            if before + sum(_wei_moved(entries, wallet(address))) != found:
                period = Period(closing.block, last, before)
                entries += await explain(self._client.rpc, address, period, entries, self._parties, calendar.moment)
        entries.sort(key=lambda entry: entry.block)
        return entries, calendar.closing(last), cursors

    async def _with_new_wallets(self, closing: Closing) -> Balances:
        """The balances, those of keys that the node has got since included: what they held is opened with."""
        held = await self.balances()
        new = [a for a in self._parties.wallets if not any((wallet(a), currency) in held for currency in Currency)]
        if not new:
            return held
        entries = await opening_of_wallets(self._client, new, closing)
        if not entries:
            return held
        await self._blocking.run(self._file.book, entries, closing)
        return await self.balances()

    async def _read_logs(self, first: int, last: int) -> list[Log]:
        us = _word(self._parties.orchestrator)
        wallets = [_word(address) for address in self._parties.wallets]
        contracts = self._contracts
        ours = (contracts.bonding, contracts.broker, contracts.token)
        events = [event.topic for event in EVENTS]
        found: dict[tuple[int, int], Log] = {}
        for addresses, topics in (
            (ours, [events, wallets]),
            (ours, [events, [], wallets]),
            ((contracts.bonding,), [events, [], [], [us]]),
            ((contracts.rounds,), [[NEW_ROUND.topic]]),
        ):
            async for _, piece in self._logs.read(addresses=addresses, topics=topics, first=first, last=last):
                found |= {(entry.block_number, entry.log_index): entry for entry in piece}
        return [found[place] for place in sorted(found)]

    async def _spending(self, after: int, last: int, calendar: Calendar) -> tuple[list[Entry], dict[str, int]]:
        """Our keys' transactions in blocks after `after` up to `last`, and where to go on with each source."""
        entries: list[Entry] = []
        cursors: dict[str, int] = {}
        for source in self._gas:
            name = f"gas {source.address}"
            place = await self._blocking.run(self._file.cursor, name)
            early = await under_way_up_to(source, self._client.rpc, last)
            settled, cursors[name] = await settled_up_to(source, self._client.rpc, place, last)
            for sent, purpose in {sent.tx_hash: (sent, purpose) for sent, purpose in early + settled}.values():
                if sent.block > after:
                    moment = await calendar.moment(sent.block)
                    entries.append(
                        to_entry(sent, at=moment.at, round_=moment.round, parties=self._parties, purpose=purpose)
                    )
        return entries, cursors

    async def _own_parts(
        self, first: int, last: int, held: Balances, entries: Sequence[Entry], calendar: Calendar
    ) -> list[Entry]:
        fees, stake = Account(AccountKind.FEES), Account(AccountKind.STAKE)
        telling = {
            entry.block
            for entry in entries
            if entry.kind in (EntryKind.FEE, EntryKind.REWARD)
            or any(posting.account in (fees, stake) for posting in entry.postings)
        }
        blocks = _thinned(sorted(telling | {last}))
        try:
            readings = await read_shares(self._client, self._parties.orchestrator, blocks)
        except Transient as error:
            if not forgets_past(error) or len(blocks) == 1:
                raise
            log.warning("ledger.past_forgotten", extra={"first": first, "last": last, "error": str(error)})
            blocks = [last]
            readings = await read_shares(self._client, self._parties.orchestrator, blocks)
        before = (held.get((fees, Currency.ETH), 0), held.get((stake, Currency.LPT), 0))
        return own_shares(
            before, list(zip(blocks, readings, strict=True)), entries, calendar.at, self._parties.orchestrator
        )

    async def _recognise(self, closing: Closing) -> None:
        (header,) = await read_headers(self._client.rpc, [closing.block])
        if closing.hash and header.hash != closing.hash:
            raise Terminal(
                f"{self._path}: the books reach block {closing.block} as {closing.hash.hex()}, and the chain has "
                f"{header.hash.hex()} there: it was reorganised deeper than `network.confirmations` allows for; raise "
                "that, and move the file away to begin new books"
            )


def _word(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])


def _wei_moved(entries: Iterable[Entry], account: Account) -> Iterable[int]:
    return (
        posting.amount
        for entry in entries
        for posting in entry.postings
        if posting.account == account and posting.currency is Currency.ETH
    )


def _thinned(blocks: list[int]) -> list[int]:
    """At most so many blocks, the last one among them: earnings between two are told apart by amount."""
    step = -(-len(blocks) // _READINGS_LIMIT)
    return sorted({*blocks[::step], blocks[-1]})
