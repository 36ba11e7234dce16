"""What was earned, by round, gateway and host. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

from livefleet.ledger.accounts import AccountKind, Currency, Entry, EntryKind
from livefleet.ledger.combined import Combined, Line, Lost

__all__ = ["By", "Earnings", "earnings", "total"]


class By(StrEnum):
    """What rows are told apart by."""

    ROUND = "round"
    GATEWAY = "gateway"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Earnings:
    """One row. Wei, and LPTU where the name says rewards."""

    key: tuple[str, ...]  # in the order of what rows are told apart by; empty text: of none
    tickets: int = 0  # winning tickets used up on chain
    face_value: int = 0  # of these
    fees: int = 0  # what they paid
    own_fees: int = 0  # of that, the orchestrator's own; the rest went to its delegators
    rewards: int = 0  # LPTU minted by reward calls, without the treasury's part
    own_rewards: int = 0
    gas: int = 0  # all that our keys spent
    pending: int = 0  # face value of winning tickets that wait
    lost: int = 0  # face value of winning tickets that can never be redeemed

    @property
    def shortfall(self) -> int:
        """Face value that senders could not pay."""
        return self.face_value - self.fees

    @property
    def net_eth(self) -> int:
        """Own fees less gas."""
        return self.own_fees - self.gas

    def __add__(self, other: "Earnings") -> "Earnings":
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "key"
        }
        return Earnings(self.key, **sums)


def earnings(books: Combined, by: Sequence[By]) -> list[Earnings]:
    """Rows in order of their keys; rounds as numbers."""
    rows: dict[tuple[str, ...], Earnings] = {}
    for key, row in (*(_of_line(line, by) for line in books.lines), *(_of_lost(lost, by) for lost in books.unredeemed)):
        if row != Earnings(()):
            rows[key] = rows.get(key, Earnings(key)) + row
    return [rows[key] for key in sorted(rows, key=_order(by))]


def total(rows: Sequence[Earnings]) -> Earnings:
    """The sum of rows."""
    return sum(rows, start=Earnings(()))


def _of_line(line: Line, by: Sequence[By]) -> tuple[tuple[str, ...], Earnings]:
    entry = line.entry
    gateway = entry.counterparty if entry.kind in _OF_GATEWAYS else None
    values = {By.ROUND: str(entry.round), By.GATEWAY: gateway or "", By.HOST: line.host}
    return tuple(values[name] for name in by), _row(entry)


_OF_GATEWAYS = (EntryKind.FEE, EntryKind.FEE_SHARE, EntryKind.TICKET)


def _of_lost(lost: Lost, by: Sequence[By]) -> tuple[tuple[str, ...], Earnings]:
    ticket = lost.ticket
    values = {By.ROUND: str(ticket.round), By.GATEWAY: ticket.sender, By.HOST: lost.host}
    waits = ticket.state == "pending"
    row = Earnings((), pending=ticket.face_value) if waits else Earnings((), lost=ticket.face_value)
    return tuple(values[name] for name in by), row


def _row(entry: Entry) -> Earnings:
    match entry.kind:
        case EntryKind.TICKET:
            return Earnings((), tickets=1, face_value=entry.face_value or 0)
        case EntryKind.FEE:
            return Earnings((), fees=_moved(entry, AccountKind.POOL, Currency.ETH))
        case EntryKind.FEE_SHARE:
            return Earnings((), own_fees=_moved(entry, AccountKind.FEES, Currency.ETH))
        case EntryKind.REWARD:
            return Earnings((), rewards=_moved(entry, AccountKind.POOL, Currency.LPT))
        case EntryKind.REWARD_SHARE:
            return Earnings((), own_rewards=_moved(entry, AccountKind.STAKE, Currency.LPT))
        case EntryKind.GAS:
            return Earnings((), gas=_moved(entry, AccountKind.GAS, Currency.ETH))
        case _:
            return Earnings(())


def _moved(entry: Entry, kind: AccountKind, currency: Currency) -> int:
    return sum(p.amount for p in entry.postings if p.account.kind is kind and p.currency is currency)


def _order(by: Sequence[By]) -> Callable[[tuple[str, ...]], tuple[object, ...]]:
    def order(key: tuple[str, ...]) -> tuple[object, ...]:
        return tuple(int(part) if name is By.ROUND else part for name, part in zip(by, key, strict=True))

    return order
