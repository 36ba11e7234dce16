"""One line for each event that changed what the operator owns. Pure.

Income is booked when the chain credits it (own fees at the redemption, own rewards at the reward call), not when it is
withdrawn. A transaction's gas stands on its first line; one that has no other line has one of its own.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from livefleet.ledger.accounts import AccountKind, Currency, Entry, EntryKind
from livefleet.ledger.amounts import decimal
from livefleet.ledger.combined import Combined, Line
from livefleet.ledger.fiat import FiatPrices

__all__ = ["TaxEvent", "TaxKind", "sums", "tax_events"]

_CENT = Decimal("0.01")
_OURS = (AccountKind.WALLET, AccountKind.FEES, AccountKind.STAKE, AccountKind.UNBONDING)


class TaxKind(StrEnum):
    """What happened, in a tax adviser's words."""

    FEE_INCOME = "fee income"
    REWARD_INCOME = "reward income"
    TRANSFER_IN = "transfer in"
    TRANSFER_OUT = "transfer out"
    LOSS = "loss"
    TRANSACTION = "transaction"  # its gas only
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class TaxEvent:
    """One line."""

    at: datetime  # UTC
    kind: TaxKind
    asset: Currency
    amount: int  # wei or LPTU; what came is positive, what went is negative
    counterparty: str
    tx_hash: bytes
    gas: int  # wei
    host: str
    round: int
    price: Decimal | None = None  # of one coin of the asset; None: not known
    value: Decimal | None = None  # of amount, in cents
    gas_value: Decimal | None = None


def tax_events(books: Combined, prices: FiatPrices | None = None) -> list[TaxEvent]:
    """The lines, in order of time."""
    gas: dict[bytes, int] = {}
    for line in books.lines:
        if line.entry.kind is EntryKind.GAS:
            spent = sum(p.amount for p in line.entry.postings if p.account.kind is AccountKind.GAS)
            gas[line.entry.tx_hash] = gas.get(line.entry.tx_hash, 0) + spent
    found: list[TaxEvent] = []
    for line in books.lines:
        found += [replace(event, gas=gas.pop(event.tx_hash, 0)) for event in _events(line)]
    for line in books.lines:
        if line.entry.kind is EntryKind.GAS and line.entry.tx_hash in gas:
            event = _event(line, TaxKind.TRANSACTION, Currency.ETH, 0)
            found.append(replace(event, gas=gas.pop(line.entry.tx_hash)))
    found.sort(key=lambda event: event.at)
    return found if prices is None else [_valued(event, prices) for event in found]


def sums(events: Sequence[TaxEvent]) -> dict[tuple[str, Currency], int]:
    """Amounts by kind and asset, and the gas of all."""
    found: Counter[tuple[str, Currency]] = Counter()
    for event in events:
        found[event.kind.value, event.asset] += event.amount
        found["gas", Currency.ETH] += event.gas
    return {key: amount for key, amount in found.items() if amount}


def _events(line: Line) -> Iterator[TaxEvent]:
    entry = line.entry
    match entry.kind:
        case EntryKind.FEE_SHARE | EntryKind.REWARD_SHARE:
            kind = TaxKind.FEE_INCOME if entry.kind is EntryKind.FEE_SHARE else TaxKind.REWARD_INCOME
            for currency, amount in _ours(entry):
                yield _event(line, kind, currency, amount)
        case EntryKind.SLASHING:
            for currency, amount in _ours(entry):
                yield _event(line, TaxKind.LOSS, currency, amount)
        case EntryKind.UNEXPLAINED:
            for currency, amount in _ours(entry):
                yield _event(line, TaxKind.UNEXPLAINED, currency, amount)
        case EntryKind.TRANSFER | EntryKind.FEE_WITHDRAWAL | EntryKind.BOND_TRANSFER | EntryKind.GAS:
            if entry.note == "protocol":  # tokens on their way into or out of own stake
                return
            for currency, amount in _ours(entry):
                yield _event(line, TaxKind.TRANSFER_IN if amount > 0 else TaxKind.TRANSFER_OUT, currency, amount)
        case _:
            return


def _ours(entry: Entry) -> Iterator[tuple[Currency, int]]:
    """What all our accounts together gained or lost, gas left out; nothing for what stays among them."""
    gained: Counter[Currency] = Counter()
    for posting in entry.postings:
        if posting.account.kind in (*_OURS, AccountKind.GAS):
            gained[posting.currency] += posting.amount
    yield from ((currency, amount) for currency, amount in gained.items() if amount)


def _event(line: Line, kind: TaxKind, asset: Currency, amount: int) -> TaxEvent:
    entry = line.entry
    return TaxEvent(
        at=datetime.fromtimestamp(entry.at, UTC),
        kind=kind,
        asset=asset,
        amount=amount,
        counterparty=entry.counterparty or "",
        tx_hash=entry.tx_hash,
        gas=0,
        host=line.host,
        round=entry.round,
    )


def _valued(event: TaxEvent, prices: FiatPrices) -> TaxEvent:
    price, ether = prices.at(event.asset, event.at.date()), prices.at(Currency.ETH, event.at.date())
    return replace(
        event,
        price=price,
        value=None if price is None else _cents(decimal(event.amount) * price),
        gas_value=None if ether is None else _cents(decimal(event.gas) * ether),
    )


def _cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
