"""Credit of (sender, session) pairs: exact, in memory, told to the journal as it changes.

Source: go-livepeer core/accounting.go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from livefleet.kernel import Address, Clock, SessionId

__all__ = ["IDLE_S", "Account", "Balance", "Balances"]

IDLE_S = 600.0
"""A balance that nobody touched for this long is dropped, credit and fixed price with it."""

Account = tuple[Address, SessionId]


@dataclass(slots=True)
class Balance:
    """What a sender may still use in a session."""

    amount: Fraction  # wei; below zero after a segment that cost more than was left
    fixed_price: Fraction | None  # wei per unit for the whole session, once tickets bound it
    touched: float  # unix seconds, so that it means the same after a restart


class Balances:
    """All balances. One event loop's property."""

    def __init__(self, clock: Clock, stored: Iterable[tuple[Account, Balance]] = ()) -> None:
        self._clock = clock
        self._balances = dict(stored)

    def __len__(self) -> int:
        return len(self._balances)

    def amount(self, account: Account) -> Fraction | None:
        """None where nothing was ever credited or all is forgotten."""
        balance = self._balances.get(account)
        return None if balance is None else balance.amount

    def fixed_price(self, account: Account) -> Fraction | None:
        """The session's price; None until tickets bound one."""
        balance = self._balances.get(account)
        return None if balance is None else balance.fixed_price

    def with_fixed_price(self) -> tuple[Account, ...]:
        """The sessions that have a price of their own."""
        return tuple(account for account, balance in self._balances.items() if balance.fixed_price is not None)

    def touch(self, account: Account) -> None:
        """The account is in use: do not drop it."""
        balance = self._balances.get(account)
        if balance is not None:
            balance.touched = self._clock.now()

    def change(self, account: Account, by: Fraction, *, fixed_price: Fraction | None = None) -> None:
        """Credit or debit; the first positive fixed price given stays."""
        balance = self._balances.get(account)
        if balance is None:
            balance = self._balances[account] = Balance(Fraction(0), None, 0.0)
        balance.amount += by
        balance.touched = self._clock.now()
        if balance.fixed_price is None and fixed_price:
            balance.fixed_price = fixed_price

    def drop_idle(self) -> tuple[Account, ...]:
        """Forget what nobody used for `IDLE_S`; the accounts dropped."""
        before = self._clock.now() - IDLE_S
        idle = tuple(account for account, balance in self._balances.items() if balance.touched < before)
        for account in idle:
            del self._balances[account]
        return idle

    def senders(self) -> tuple[Address, ...]:
        """Who has a balance, in order."""
        return tuple(sorted({sender for sender, _ in self._balances}))

    def total(self) -> Fraction:
        """Sum of all balances, in wei."""
        return sum((b.amount for b in self._balances.values()), Fraction(0))
