"""A ledger as JSON lines, as a host hands it to its operator: a head, then entries, then winning tickets.

Amounts are text: they outgrow what JSON's readers take for whole numbers.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from livefleet.kernel import Address, BadInput, Round
from livefleet.ledger.accounts import Account, Currency, Entry, EntryKind, Posting
from livefleet.payments import StoredTicket, TicketState

__all__ = ["Books", "TicketLine", "dump_lines", "parse_dump", "ticket_line"]

_Bytes = Annotated[bytes, BeforeValidator(bytes.fromhex), PlainSerializer(lambda raw: raw.hex())]
_Amount = Annotated[int, BeforeValidator(int), PlainSerializer(str)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TicketLine(_Line):
    """A winning ticket of the host's own store: the host whose work it paid, and what became of it."""

    line: Literal["ticket"] = "ticket"
    hash: _Bytes
    sender: str
    round: int  # that it was made in
    face_value: _Amount  # wei
    state: TicketState
    received_at: float  # unix seconds
    note: str


class _Head(_Line):
    line: Literal["ledger"] = "ledger"
    version: Literal[1] = 1
    name: str  # the node's
    owner: str  # chain id and orchestrator


class _EntryLine(_Line):
    line: Literal["entry"] = "entry"
    source: str
    kind: EntryKind
    block: int
    at: int
    round: int
    postings: tuple[tuple[str, Currency, _Amount], ...]
    tx_hash: _Bytes
    counterparty: str | None
    note: str
    face_value: _Amount | None
    ticket: _Bytes
    ours: str | None


@dataclass(frozen=True, slots=True)
class Books:
    """What one host hands over."""

    host: str
    owner: str  # chain id and orchestrator
    entries: tuple[Entry, ...]
    tickets: tuple[TicketLine, ...]

    @property
    def begun_at(self) -> int:
        """The L2 block that these books begin at."""
        return self.entries[0].block if self.entries else 0


def ticket_line(stored: StoredTicket) -> TicketLine:
    """What is told of a stored ticket; nothing that could redeem it."""
    ticket = stored.winner.ticket
    return TicketLine.model_construct(
        line="ticket",
        hash=ticket.hash,
        sender=ticket.sender,
        round=ticket.creation_round,
        face_value=int(ticket.face_value),
        state=stored.state,
        received_at=stored.received_at,
        note=stored.note,
    )


def dump_lines(name: str, owner: str, entries: Iterable[Entry], tickets: Iterable[TicketLine]) -> Iterator[str]:
    """The lines, without their ends."""
    yield _Head(name=name, owner=owner).model_dump_json()
    for entry in entries:
        yield _to_line(entry).model_dump_json()
    for ticket in tickets:
        yield ticket.model_dump_json()


def parse_dump(text: str, *, where: str) -> Books:
    """Read what `dump_lines` wrote. Raises BadInput naming the line."""
    head: _Head | None = None
    entries: list[Entry] = []
    tickets: list[TicketLine] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        try:
            line = json.loads(raw)
            match line.get("line"):
                case "ledger":
                    head = _Head.model_validate(line)
                case "entry":
                    entries.append(_to_entry(_EntryLine.model_validate(line)))
                case "ticket":
                    tickets.append(TicketLine.model_validate(line))
                case other:
                    raise BadInput(f"{where}, line {number}: {other!r} is no line of a ledger")
        except (ValueError, AttributeError, ValidationError) as error:
            raise BadInput(f"{where}, line {number}: cannot be read: {str(error).splitlines()[0]}") from error
    if head is None:
        raise BadInput(f"{where}: is no ledger; the host may run a release that keeps none")
    return Books(head.name, head.owner, tuple(entries), tuple(tickets))


def _to_line(entry: Entry) -> _EntryLine:
    return _EntryLine.model_construct(
        line="entry",
        source=entry.source,
        kind=entry.kind,
        block=entry.block,
        at=entry.at,
        round=entry.round,
        postings=tuple((str(p.account), p.currency, p.amount) for p in entry.postings),
        tx_hash=entry.tx_hash,
        counterparty=entry.counterparty,
        note=entry.note,
        face_value=entry.face_value,
        ticket=entry.ticket,
        ours=entry.ours,
    )


def _to_entry(line: _EntryLine) -> Entry:
    return Entry(
        source=line.source,
        kind=line.kind,
        block=line.block,
        at=line.at,
        round=Round(line.round),
        postings=tuple(
            Posting(Account.parse(account), currency, amount) for account, currency, amount in line.postings
        ),
        tx_hash=line.tx_hash,
        counterparty=None if line.counterparty is None else Address(line.counterparty),
        note=line.note,
        face_value=line.face_value,
        ticket=line.ticket,
        ours=None if line.ours is None else Address(line.ours),
    )
