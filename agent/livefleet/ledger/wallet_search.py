"""ETH that moved without a log, found by balances: halving the range between two blocks until the one that did it.

A plain transfer leaves no log, and neither does a transaction that another wallet sent with one of our keys. Where the
booked balance and the chain's part ways, the first block at which they do is looked for and what is in it is booked.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from livefleet.chain import Rpc
from livefleet.kernel import Address, Transient
from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, posted, wallet
from livefleet.ledger.events import Moment
from livefleet.ledger.parties import Parties
from livefleet.ledger.spending import read_sent, to_entry
from livefleet.ledger.state import eth_at, forgets_past

__all__ = ["Period", "explain"]

_PIECES = 16  # balances in one batch: fewer round trips than halving
_CHANGES_LIMIT = 200  # a wallet and period; what is left then is booked as one unexplained amount
_UNKNOWN = Account(AccountKind.OUTSIDE, "contract")


@dataclass(frozen=True, slots=True)
class Period:
    """From the block that the books reached, not included, to `last`."""

    first: int
    last: int
    held: int  # wei booked at `first`


async def explain(
    rpc: Rpc,
    address: Address,
    period: Period,
    booked: Sequence[Entry],
    parties: Parties,
    when: Callable[[int], Awaitable[Moment]],
) -> list[Entry]:
    """Entries that make the booked balance of `address` at the period's end the chain's. Raises Transient."""
    found: list[Entry] = []
    low = period.first
    for _ in range(_CHANGES_LIMIT):
        left = await _left(rpc, address, period, [*booked, *found], [period.last])
        if left == [0]:
            return found
        try:
            block = await _first_change(rpc, address, period, [*booked, *found], low)
        except Transient as error:
            if not forgets_past(error):
                raise
            break
        found += await _in_block(rpc, address, block, [*booked, *found], parties, when)
        (rest,) = await _left(rpc, address, period, [*booked, *found], [block])
        if rest:
            found.append(_by_contract(address, rest, await when(block)))
        low = block
    (rest,) = await _left(rpc, address, period, [*booked, *found], [period.last])
    return [*found, _unexplained(address, rest, await when(period.last))] if rest else found


async def _first_change(rpc: Rpc, address: Address, period: Period, booked: Sequence[Entry], low: int) -> int:
    """The first block after `low`, where books and chain agree, at which they do not; at `last` they do not."""
    high = period.last
    while high - low > 1:
        step = max(1, (high - low) // _PIECES)
        points = [*range(low + step, high, step)]
        differ = [left != 0 for left in await _left(rpc, address, period, booked, points)]
        at = differ.index(True) if True in differ else len(points)
        low, high = (points[at - 1] if at else low), (points[at] if at < len(points) else high)
    return high


async def _left(
    rpc: Rpc, address: Address, period: Period, booked: Sequence[Entry], blocks: Sequence[int]
) -> list[int]:
    """What the chain has more than the books at each block."""
    balances = await eth_at(rpc, [(address, block) for block in blocks])
    moves = [
        (entry.block, posting.amount)
        for entry in booked
        for posting in entry.postings
        if posting.account == wallet(address) and posting.currency is Currency.ETH
    ]
    return [
        balance - period.held - sum(amount for at, amount in moves if period.first < at <= block)
        for block, balance in zip(blocks, balances, strict=True)
    ]


async def _in_block(
    rpc: Rpc,
    address: Address,
    block: int,
    booked: Sequence[Entry],
    parties: Parties,
    when: Callable[[int], Awaitable[Moment]],
) -> list[Entry]:
    """The block's transactions that `address` sent or was sent ETH by, and that are not booked."""
    (raw,) = await rpc.batch([("eth_getBlockByNumber", (hex(block), True))])
    known = {entry.source for entry in booked}
    mine = address.lower()
    hashes = [
        bytes.fromhex(transaction["hash"][2:])
        for transaction in raw["transactions"]
        if transaction["from"].lower() == mine
        or ((transaction.get("to") or "").lower() == mine and int(transaction["value"], 16) > 0)
    ]
    sent = await read_sent(rpc, [tx for tx in hashes if f"tx:{tx.hex()}" not in known])
    moment = await when(block)
    entries = [to_entry(one, at=moment.at, round_=moment.round, parties=parties) for one in sent.values()]
    return [entry for entry in entries if entry.postings]


def _by_contract(address: Address, amount: int, when: Moment) -> Entry:
    return Entry(
        source=f"balance:{address}:{when.block}",
        kind=EntryKind.TRANSFER,
        block=when.block,
        at=when.at,
        round=when.round,
        postings=posted(Currency.ETH, amount, into=wallet(address), out_of=_UNKNOWN),
        note="moved inside a contract's call",
        ours=address,
    )


def _unexplained(address: Address, amount: int, when: Moment) -> Entry:
    return Entry(
        source=f"unexplained:{address}:{when.block}",
        kind=EntryKind.UNEXPLAINED,
        block=when.block,
        at=when.at,
        round=when.round,
        postings=posted(Currency.ETH, amount, into=wallet(address), out_of=Account(AccountKind.UNEXPLAINED)),
        note="the balance moved, and no endpoint knows the state of the blocks in between",
        ours=address,
    )
