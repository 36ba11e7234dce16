"""How long the ETH of hot keys lasts, at what they spent lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from livefleet.chain.intents import Intent
from livefleet.chain.rpc import Rpc
from livefleet.chain.transactions import Transactions
from livefleet.kernel import Address, Clock, Wei

__all__ = ["GasBalance", "GasBalances", "runway_s", "spent_lately"]

WINDOW_S: Final = 7 * 86_400.0
_DAY_S: Final = 86_400.0
_PAGE: Final = 200
_PAGES: Final = 500  # in one look: more are counted in the next ones
_KEPT: Final = 5_000  # expenses of one key


@dataclass(frozen=True, slots=True)
class GasBalance:
    """One key."""

    name: str  # under `keys`
    address: Address
    balance: Wei
    spent: Wei  # on gas within the last seven days
    runway_s: float | None  # None: nothing was spent


def runway_s(*, balance: int, spent: int, over_s: float) -> float | None:
    """How long a balance lasts; None where nothing was spent. Less than a day of spending counts as a day's. Pure."""
    if spent <= 0:
        return None
    return float(Fraction(balance, spent) * Fraction(max(over_s, _DAY_S)))


def spent_lately(expenses: Sequence[tuple[float, int]], now: float) -> tuple[int, float]:
    """Wei spent in the window, and over how many seconds it was spent. `expenses`: (unix seconds, wei). Pure."""
    lately = [(at, wei) for at, wei in expenses if at > now - WINDOW_S]
    first = min((at for at, _ in lately), default=now)
    return sum(wei for _, wei in lately), min(max(now - first, 0.0), WINDOW_S)


class GasBalances:
    """Balances of a node's keys. What they spend is read from their settled transactions, failed ones too."""

    def __init__(self, rpc: Rpc, keys: Mapping[str, Transactions], *, clock: Clock) -> None:
        self._rpc = rpc
        self._keys = dict(keys)
        self._clock = clock
        self._places = dict.fromkeys(keys, 0)
        self._expenses: dict[str, list[tuple[float, int]]] = {name: [] for name in keys}

    async def look(self) -> tuple[GasBalance, ...]:
        """Every key, one request each. Raises Transient, NodeError."""
        raw = await self._rpc.batch(
            [("eth_getBalance", (transactions.address, "latest")) for transactions in self._keys.values()]
        )
        for name, transactions in self._keys.items():
            await self._read_expenses(name, transactions)
        now = self._clock.now()
        found = []
        for (name, transactions), balance in zip(self._keys.items(), (int(one, 16) for one in raw), strict=True):
            spent, over_s = spent_lately(self._expenses[name], now)
            lasts_s = runway_s(balance=balance, spent=spent, over_s=over_s)
            found.append(GasBalance(name, transactions.address, Wei(balance), Wei(spent), lasts_s))
        return tuple(found)

    async def _read_expenses(self, name: str, transactions: Transactions) -> None:
        for _ in range(_PAGES):
            page = await transactions.settled(self._places[name], _PAGE)
            self._expenses[name] += [expense for intent in page for expense in _expense(intent)]
            if page:
                self._places[name] = page[-1].settled
            if len(page) < _PAGE:
                break
        oldest = self._clock.now() - WINDOW_S
        self._expenses[name] = [one for one in self._expenses[name] if one[0] > oldest][-_KEPT:]


def _expense(intent: Intent) -> list[tuple[float, int]]:
    if intent.outcome is None:
        return []
    return [(intent.attempts[-1].signed_at, intent.outcome.gas_used * intent.outcome.effective_gas_price)]
