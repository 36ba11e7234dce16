"""What of a fee or a reward is the orchestrator's own: read from the contract, and told apart by what earned it.

The contract keeps earnings as factors that it rounds, and it lets what comes after a claim in the same round show only
later. So the own part is not computed again here: it is the change of pendingFees and pendingStake between two blocks,
less what was moved in and out, and what earned in between shares it by amount. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from livefleet.kernel import Address
from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, Posting, posted
from livefleet.ledger.events import Moment
from livefleet.ledger.state import Shares

__all__ = ["Earned", "own_shares", "split"]


@dataclass(frozen=True, slots=True)
class Earned:
    """One kind of earnings: the account of the own part, what whole amounts are booked as, where they lie."""

    own: Account
    currency: Currency
    whole: EntryKind
    share: EntryKind


FEES = Earned(Account(AccountKind.FEES), Currency.ETH, EntryKind.FEE, EntryKind.FEE_SHARE)
REWARDS = Earned(Account(AccountKind.STAKE), Currency.LPT, EntryKind.REWARD, EntryKind.REWARD_SHARE)


def own_shares(
    before: tuple[int, int],
    readings: Sequence[tuple[int, Shares]],
    entries: Sequence[Entry],
    when: Callable[[int], Moment],
    us: Address,
) -> list[Entry]:
    """The entries of the own part up to each reading.

    `before`: booked balances of fees and stake at the beginning. `readings`: (block, what the chain says), in order.
    `entries`: what happened meanwhile. `us`: the orchestrator, whose stake earns from its own pool while it is
    its own delegator, as it is where it works.
    """
    found: list[Entry] = []
    for earned, held in ((FEES, before[0]), (REWARDS, before[1])):
        expected, start = held, -1
        for block, shares in readings:
            reading = shares.fees if earned is FEES else shares.stake
            between = [entry for entry in entries if start < entry.block <= block]
            expected += sum(_moved(between, earned.own, earned.currency))
            gained = reading - expected
            expected, start = reading, block
            if gained:
                pool = Account(AccountKind.POOL if shares.delegated_to == us else AccountKind.ELSEWHERE)
                found += _share(earned, gained, between, when(block), pool)
    return found


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole parts by weight; they add up to it exactly. Weights are positive."""
    total, passed, given = sum(weights), 0, 0
    parts = []
    for weight in weights:
        passed += weight
        parts.append(amount * passed // total - given)
        given += parts[-1]
    return parts


def _share(earned: Earned, gained: int, between: Sequence[Entry], when: Moment, pool: Account) -> list[Entry]:
    whole = [(entry, _size(entry)) for entry in between if entry.kind is earned.whole]
    whole = [(entry, size) for entry, size in whole if size > 0]
    if not whole:
        return [
            Entry(
                source=f"late:{earned.share}:{when.block}",
                kind=earned.share,
                block=when.block,
                at=when.at,
                round=when.round,
                postings=posted(earned.currency, gained, into=earned.own, out_of=pool),
                note="shown by the contract later than it was earned",
            )
        ]
    return [
        Entry(
            source=f"share:{entry.source}",
            kind=earned.share,
            block=entry.block,
            at=entry.at,
            round=entry.round,
            postings=posted(earned.currency, part, into=earned.own, out_of=pool),
            tx_hash=entry.tx_hash,
            counterparty=entry.counterparty,
            ticket=entry.ticket,
        )
        for (entry, _), part in zip(whole, split(gained, [size for _, size in whole]), strict=True)
        if part
    ]


def _size(entry: Entry) -> int:
    return sum(posting.amount for posting in entry.postings if posting.amount > 0)


def _moved(entries: Iterable[Entry], account: Account, currency: Currency) -> Iterable[int]:
    def touches(posting: Posting) -> bool:
        return posting.account == account and posting.currency is currency

    return (posting.amount for entry in entries for posting in entry.postings if touches(posting))
