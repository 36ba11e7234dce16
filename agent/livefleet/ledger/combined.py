"""The books of several hosts as one, nothing counted twice.

Hosts that work for one orchestrator see the same fees and rewards on chain. Those are taken from the books that begin
earliest; the others add the gas of keys that those do not hold. Which host a fee was earned on is told by whose store
held the ticket. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from livefleet.ledger.accounts import Entry, EntryKind
from livefleet.ledger.dump import Books, TicketLine

__all__ = ["Combined", "Line", "Lost", "Window", "combine"]


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of the books is told of; bounds are included, None is open."""

    first_round: int | None = None
    last_round: int | None = None
    first_day: date | None = None  # UTC
    last_day: date | None = None

    def holds(self, round_: int, at: float) -> bool:
        """Whether something of that round and unix time is within."""
        day = datetime.fromtimestamp(at, UTC).date()
        return (
            (self.first_round is None or round_ >= self.first_round)
            and (self.last_round is None or round_ <= self.last_round)
            and (self.first_day is None or day >= self.first_day)
            and (self.last_day is None or day <= self.last_day)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """An entry and the host that it belongs to; empty where it belongs to none."""

    entry: Entry
    host: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A winning ticket that is not redeemed: it waits, or is lost for good."""

    ticket: TicketLine
    host: str


@dataclass(frozen=True, slots=True)
class Combined:
    """All that the reports are made of, in the order of blocks."""

    lines: tuple[Line, ...]
    unredeemed: tuple[Lost, ...]

    def within(self, window: Window) -> "Combined":
        """The part in a window. What the books were opened with is part of none."""
        return Combined(
            tuple(
                line
                for line in self.lines
                if line.entry.kind is not EntryKind.OPENING and window.holds(line.entry.round, line.entry.at)
            ),
            tuple(lost for lost in self.unredeemed if window.holds(lost.ticket.round, lost.ticket.received_at)),
        )

    def opened_at(self) -> int | None:
        """The L2 block of the earliest books; None where there are none."""
        return min((line.entry.block for line in self.lines if line.entry.kind is EntryKind.OPENING), default=None)

    def with_history(self, entries: Iterable[Entry]) -> "Combined":
        """The same with entries of the time before, those that are not there yet."""
        known = {line.entry.source for line in self.lines}
        before = (Line(entry, "") for entry in entries if entry.source not in known)
        return replace(self, lines=tuple(sorted((*before, *self.lines), key=lambda line: line.entry.block)))


def combine(all_books: Sequence[Books]) -> Combined:
    """One set of books out of the hosts'."""
    earned_on = {ticket.hash: books.host for books in all_books for ticket in books.tickets}
    redeemed = {line.ticket for books in all_books for line in books.entries if line.kind is EntryKind.TICKET}
    lines: list[Line] = []
    for owner in dict.fromkeys(books.owner for books in all_books):
        lines += _of_owner([books for books in all_books if books.owner == owner], earned_on.get)
    lines.sort(key=lambda line: line.entry.block)
    lost = [
        Lost(ticket, books.host)
        for books in all_books
        for ticket in books.tickets
        if ticket.state != "redeemed" and ticket.hash not in redeemed
    ]
    return Combined(tuple(lines), tuple(lost))


def _of_owner(hosts: Sequence[Books], earned_on: Callable[[bytes], str | None]) -> Iterable[Line]:
    first, *others = sorted(hosts, key=lambda books: books.begun_at)
    spent_by = {
        entry.source: books.host
        for books in hosts
        for entry in books.entries
        if entry.kind is EntryKind.GAS and entry.note.removesuffix("(failed)")
    }
    taken = {entry.source for entry in first.entries}
    for entry in first.entries:
        yield Line(entry, (earned_on(entry.ticket) if entry.ticket else spent_by.get(entry.source)) or "")
    for books in others:
        for entry in books.entries:
            if entry.kind is EntryKind.GAS and entry.source not in taken:
                taken.add(entry.source)
                yield Line(entry, spent_by.get(entry.source, ""))
