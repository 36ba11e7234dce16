"""Which tickets to send now, in which transactions. Pure.

Each ticket was tried alone at one block. What that cannot see is kept here: the tickets of one sender are paid from the
same deposit and the same share of its reserve, so the one after the last that is paid would be burnt for nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from livefleet.chain import SpendLimit
from livefleet.kernel import Address, Round, Wei
from livefleet.payments.decision import Wait, Why
from livefleet.payments.redemption_gas import RedemptionGas, batch_gas_limit, single_gas_limit
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.payments.ticket import Ticket, WinningTicket
from livefleet.spec import BatchMode

__all__ = ["Due", "Purse", "RedemptionPlan", "SenderFunds", "Sending", "plan_redemptions"]

_MOST_GAS = 15_000_000  # of one transaction; blocks hold twice as much


@dataclass(frozen=True, slots=True)
class SenderFunds:
    """What a sender's tickets can be paid from, at one block."""

    deposit: Wei
    claimable: Wei | None  # of its reserve, this round; None where the contract cannot say
    withdraw_round: Round = Round(0)  # 0: no unlock requested


@dataclass(frozen=True, slots=True)
class Due:
    """A ticket that the contract would take now."""

    winner: WinningTicket
    estimate: int  # gas, alone
    urgent: bool
    blocks_left: int


@dataclass(frozen=True, slots=True)
class Sending:
    """One transaction to make."""

    winners: tuple[WinningTicket, ...]
    estimates: tuple[int, ...]  # gas, each alone
    gas: int  # its limit
    limit: SpendLimit
    urgent: bool
    paid: Wei  # what it should pay


@dataclass(frozen=True, slots=True)
class RedemptionPlan:
    """What to send, the most pressing first, and what the others wait for, by ticket hash."""

    sendings: tuple[Sending, ...]
    waits: Mapping[bytes, Wait]


@dataclass(frozen=True, slots=True)
class _Taken:
    due: Due
    paid: Wei
    claimed: Wei  # the part of it that comes from the reserve


class Purse:
    """What senders have left while tickets are counted against it."""

    def __init__(self, funds: Mapping[tuple[Address, Address], SenderFunds]) -> None:
        self._funds = dict(funds)  # by sender, recipient

    def copy(self) -> "Purse":
        """Another with the same in it."""
        return Purse(self._funds)

    def take(self, ticket: Ticket) -> tuple[Wei, Wei] | Wait:
        """Pay a ticket as the contract would: what it pays, and how much of that from the reserve."""
        key = (ticket.sender, ticket.recipient)
        left = self._funds.get(key, SenderFunds(Wei(0), Wei(0)))
        deposit = min(ticket.face_value, left.deposit)
        rest = ticket.face_value - deposit
        if rest and left.claimable is None:
            return Wait(Why.RESERVE_SHARE, "reserve share shrank below what was claimed")
        claimed = min(rest, left.claimable or 0)
        if not deposit + claimed:
            return Wait(Why.FUNDS, "sender's funds are used up, also by tickets that go first")
        claimable = None if left.claimable is None else Wei(left.claimable - claimed)
        self._funds[key] = replace(left, deposit=Wei(left.deposit - deposit), claimable=claimable)
        # The deposit is the sender's: all recipients draw on it.
        for other, funds in self._funds.items():
            if other[0] == ticket.sender and other != key:
                self._funds[other] = replace(funds, deposit=Wei(max(0, funds.deposit - deposit)))
        return Wei(deposit + claimed), Wei(claimed)


def plan_redemptions(
    due: Sequence[Due],
    purse: Purse,
    *,
    policy: RedemptionPolicy,
    gas: RedemptionGas,
    gas_price: Wei,
    alone: Collection[bytes] = (),
) -> RedemptionPlan:
    """Group `due` (in the order in which they shall go) into transactions that pay.

    `purse` has what is in flight taken out. `alone`: hashes of tickets that failed inside a batch. A ticket that does
    not pay for its gas gives its place, and the sender's funds, to those after it.
    """
    too_dear: dict[bytes, Wait] = {}
    while True:
        left, waits, taken = purse.copy(), dict(too_dear), []
        for one in due:
            ticket = one.winner.ticket
            if ticket.hash in too_dear:
                continue
            payment = left.take(ticket)
            if isinstance(payment, Wait):
                waits[ticket.hash] = payment
            else:
                taken.append(_Taken(one, *payment))
        groups = _grouped(taken, policy, gas, alone)
        dearest = _dearest(groups, policy, gas, gas_price)
        if dearest is None:
            return RedemptionPlan(tuple(_sending(group, policy, gas) for group in groups), waits)
        too_dear[dearest.due.winner.ticket.hash] = _why_too_dear(dearest, gas, gas_price)


def _grouped(
    taken: Sequence[_Taken], policy: RedemptionPolicy, gas: RedemptionGas, alone: Collection[bytes]
) -> list[list[_Taken]]:
    groups: list[list[_Taken]] = []
    for urgent in (True, False):
        together = []
        for one in taken:
            if one.due.urgent is not urgent:
                continue
            if policy.batch is BatchMode.NEVER or one.due.winner.ticket.hash in alone:
                groups.append([one])
            else:
                together.append(one)
        groups += _batches(together, policy, gas)
    return sorted(groups, key=lambda group: (not group[0].due.urgent, taken.index(group[0])))


def _batches(taken: Sequence[_Taken], policy: RedemptionPolicy, gas: RedemptionGas) -> list[list[_Taken]]:
    batches: list[list[_Taken]] = []
    for one in taken:
        if batches and len(batches[-1]) < policy.max_batch and _limit([*batches[-1], one]) <= _MOST_GAS:
            batches[-1].append(one)
        else:
            batches.append([one])
    if policy.batch is BatchMode.ALWAYS:
        return batches
    return [part for batch in batches for part in ([batch] if _saves(batch, gas) else [[one] for one in batch])]


def _saves(batch: Sequence[_Taken], gas: RedemptionGas) -> bool:
    estimates = _estimates(batch)
    return len(batch) > 1 and gas.batch(estimates) < sum(map(gas.single, estimates))


def _dearest(
    groups: Sequence[Sequence[_Taken]], policy: RedemptionPolicy, gas: RedemptionGas, gas_price: Wei
) -> _Taken | None:
    """The ticket that goes furthest beyond what its gas may cost; None where none does."""
    over = [
        (_cost(group, gas, gas_price) - policy.cost_ceiling(one.paid, urgent=one.due.urgent), -index, one)
        for group in groups
        for index, one in enumerate(group)
    ]
    worst = max(over, key=lambda found: found[:2], default=None)
    return worst[2] if worst is not None and worst[0] > 0 else None


def _cost(group: Sequence[_Taken], gas: RedemptionGas, gas_price: Wei) -> int:
    """Wei for each ticket of the group."""
    return -(-_expected_gas(group, gas) * gas_price // len(group))


def _why_too_dear(one: _Taken, gas: RedemptionGas, gas_price: Wei) -> Wait:
    face_value = one.due.winner.ticket.face_value
    cost = gas.single(one.due.estimate) * gas_price
    if one.paid > cost:
        return Wait(Why.COST, "gas would take more than the declared share of what the ticket pays")
    if one.paid < face_value and face_value > cost:
        return Wait(Why.FUNDS, "pays less than its transaction costs, as the sender's funds do not reach")
    return Wait(Why.COST, "pays less than its transaction costs")


def _sending(group: Sequence[_Taken], policy: RedemptionPolicy, gas: RedemptionGas) -> Sending:
    urgent = group[0].due.urgent
    limit, expected = _limit(group), _expected_gas(group, gas)
    paid = sum(one.paid for one in group)
    # The limit on cost is on gas used; the transaction's own rule multiplies with its gas limit.
    most = sum(policy.cost_ceiling(one.paid, urgent=urgent) for one in group) * limit // max(1, min(expected, limit))
    return Sending(
        winners=tuple(one.due.winner for one in group),
        estimates=tuple(_estimates(group)),
        gas=limit,
        limit=SpendLimit(max_gas_price=policy.price_ceiling(urgent=urgent), max_cost=Wei(most)),
        urgent=urgent,
        paid=Wei(paid),
    )


def _limit(group: Sequence[_Taken]) -> int:
    estimates = _estimates(group)
    if len(group) == 1:
        return single_gas_limit(estimates[0])
    return batch_gas_limit(estimates, claims=sum(1 for one in group if one.claimed))


def _expected_gas(group: Sequence[_Taken], gas: RedemptionGas) -> int:
    estimates = _estimates(group)
    return gas.single(estimates[0]) if len(group) == 1 else gas.batch(estimates)


def _estimates(group: Sequence[_Taken]) -> list[int]:
    return [one.due.estimate for one in group]
