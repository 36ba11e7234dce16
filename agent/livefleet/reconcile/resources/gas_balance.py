"""Whether the ETH of the node's keys lasts."""

from livefleet.chain import IDLE_S, GasBalance, GasBalances
from livefleet.kernel import Condition, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec import GasSettings
from livefleet.spec.amounts import eth_text

__all__ = ["GasBalanceResource"]

_DAY_S = 86_400.0


class GasBalanceResource:
    """Looks and says; nothing is done about it."""

    name = "gas balances"

    def __init__(self, balances: GasBalances, settings: GasSettings) -> None:
        self._balances = balances
        self._settings = settings
        self.last: tuple[GasBalance, ...] = ()
        """As last seen; for reading only."""

    async def observe(self) -> tuple[GasBalance, ...]:
        """Every key's balance, and what it spent lately."""
        self.last = await self._balances.look()
        return self.last

    def plan(self, observed: tuple[GasBalance, ...]) -> Plan:
        """One condition a key."""
        return Plan((), [self._condition(balance) for balance in observed], Again(IDLE_S))

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""

    def _condition(self, gas: GasBalance) -> Condition:
        settings = self._settings
        lasts = (
            ""
            if gas.runway_s is None
            else f", which lasts {gas.runway_s / _DAY_S:.1f} days at the last week's spending"
        )
        text = f"{gas.name} ({gas.address}) holds {eth_text(gas.balance)}{lasts}"
        if gas.balance < settings.warn_below:
            return _said(gas, Status.FALSE, "Low", f"{text}; send it ETH: it is below {eth_text(settings.warn_below)}")
        if gas.runway_s is not None and gas.runway_s < settings.warn_days * _DAY_S:
            return _said(
                gas, Status.FALSE, "ShortRunway", f"{text}; send it ETH: {settings.warn_days:g} days are declared"
            )
        return _said(gas, Status.TRUE, "Enough", text)


def _said(gas: GasBalance, status: Status, reason: str, text: str) -> Condition:
    return Condition("GasRunway", status, reason, text, subject=gas.name, gates_ready=False)
