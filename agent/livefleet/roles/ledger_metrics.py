"""The ledger's totals for /metrics. health/README.md tells of each."""

from livefleet.chain import Standing
from livefleet.health import Reading
from livefleet.ledger import AccountKind, Balances, Currency
from livefleet.reconcile.resources import ObservedLedger

__all__ = ["ledger_readings"]


def ledger_readings(observed: ObservedLedger | None, standing: Standing | None) -> list[Reading]:
    """Nothing before the first look."""
    return [*(_books(observed) if observed is not None else ()), *(_place(standing) if standing is not None else ())]


def _books(observed: ObservedLedger) -> list[Reading]:
    balances, checked = observed.balances, observed.checked
    differences = sum(abs(difference.found - difference.expected) for difference in checked.differences)
    return [
        _counter("ledger_fees_received_wei", "Paid by gateways.", -_sum(balances, AccountKind.GATEWAY, Currency.ETH)),
        _gauge("ledger_fees_withdrawable_wei", "Own, not withdrawn.", _sum(balances, AccountKind.FEES, Currency.ETH)),
        _counter("ledger_rewards_minted_lptu", "By reward calls.", -_sum(balances, AccountKind.MINTED, Currency.LPT)),
        _gauge("ledger_own_stake_lptu", "The orchestrator's own.", _sum(balances, AccountKind.STAKE, Currency.LPT)),
        _gauge("ledger_delegated_stake_lptu", "Of others.", _sum(balances, AccountKind.POOL, Currency.LPT)),
        _counter("ledger_gas_spent_wei", "By the node's keys.", _sum(balances, AccountKind.GAS, Currency.ETH)),
        _gauge("ledger_difference_units", "What books and chain differ by, wei and LPTU together.", differences),
        _gauge("ledger_unexplained_wei", "What wallets moved without a known reason.", checked.unexplained),
        _gauge("ledger_block_number", "L2 block that the books reach.", checked.block),
    ]


def _place(standing: Standing) -> list[Reading]:
    readings = [_gauge("active_set_members", "Members of the pool for the next round.", standing.size)]
    if standing.rank is not None:
        readings.append(_gauge("active_set_rank", "Place in the pool, 1 the highest stake.", standing.rank))
    if standing.margin is not None:
        readings.append(_gauge("active_set_margin_lptu", "Stake above the cut-off of a full pool.", standing.margin))
    readings.append(_gauge("active_set_missing_lptu", "Stake missing to be in the pool.", standing.missing))
    return readings


def _sum(balances: Balances, kind: AccountKind, currency: Currency) -> int:
    return sum(amount for (account, of), amount in balances.items() if account.kind is kind and of is currency)


def _gauge(name: str, text: str, value: int) -> Reading:
    return (f"livefleet_{name}", "gauge", text, {}, float(value))


def _counter(name: str, text: str, value: int) -> Reading:
    return (f"livefleet_{name}_total", "counter", text, {}, float(value))
