"""Who else redeemed a ticket, and what it was paid: found in the broker's events.

Searched from the block of the time at which the ticket came, less an hour for clocks that differ. Blocks are found by
their headers' times, since a node's own block numbers follow neither rounds nor L1 blocks.
"""

from collections.abc import Sequence

from livefleet.chain import ChainClient, LogReader
from livefleet.chain.contracts.ticket_broker import WINNING_TICKET_REDEEMED, WINNING_TICKET_TRANSFER
from livefleet.chain.rpc import Rpc
from livefleet.kernel import Address, Transient
from livefleet.payments.redemption_chain import Redemption
from livefleet.payments.ticket import WinningTicket, address_bytes

__all__ = ["RedemptionLogs", "block_before"]

_SLACK_S = 3600.0
_STEP = 1000  # blocks back to the first header that is looked at; each further one is _FACTOR times as far
_FACTOR = 8
_FURTHEST = 12  # headers
_FINER = 16  # headers between two
_MOST_PIECES = 400  # of a search; half a year of blocks at what endpoints allow
_REMEMBERED = 10_000

_Key = tuple[Address, Address, int, int]  # sender, recipient, sender nonce, recipientRand


class RedemptionLogs:
    """Searches by sender and recipient, and remembers what it came by: one search does for all tickets of a pair."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._reader = LogReader(client.rpc)
        self._found: dict[_Key, Redemption] = {}
        self._searched: dict[tuple[Address, Address], tuple[int, int]] = {}  # blocks: first, last

    async def find(self, winner: WinningTicket, *, since: float) -> Redemption | None:
        """The transaction that redeemed a ticket at or after `since` (unix seconds), and what it paid.

        None where no such event is there. Raises Transient where the chain cannot be searched now.
        """
        ticket = winner.ticket
        key = (ticket.sender, ticket.recipient, ticket.sender_nonce, winner.recipient_rand)
        if key not in self._found:
            await self._search((ticket.sender, ticket.recipient), since)
        return self._found.get(key)

    async def _search(self, pair: tuple[Address, Address], since: float) -> None:
        rpc = self._client.rpc
        last = await rpc.block_number()
        first = await block_before(rpc, since - _SLACK_S, last)
        begin = first
        if pair in self._searched:
            known_first, known_last = self._searched[pair]
            if known_first <= first:
                first, begin = known_first, known_last + 1
        broker = self._client.broker
        pieces = 0
        async for end, logs in self._reader.read(
            addresses=[broker.address],
            topics=[
                [WINNING_TICKET_REDEEMED.topic, WINNING_TICKET_TRANSFER.topic],
                [bytes(12) + address_bytes(pair[0])],
                [bytes(12) + address_bytes(pair[1])],
            ],
            first=begin,
            last=last,
        ):
            by_transaction: dict[bytes, list[tuple[Address, tuple[bytes, ...], bytes]]] = {}
            for entry in logs:
                by_transaction.setdefault(entry.tx_hash, []).append((entry.address, entry.topics, entry.data))
            for tx_hash, events in by_transaction.items():
                for told in broker.redeemed_in(events):
                    key = (told.sender, told.recipient, told.sender_nonce, told.recipient_rand)
                    self._found[key] = Redemption(tx_hash, told.paid)
            self._searched[pair] = first, end
            pieces += 1
            if pieces == _MOST_PIECES:
                break
        for oldest in list(self._found)[: max(0, len(self._found) - _REMEMBERED)]:
            del self._found[oldest]


async def block_before(rpc: Rpc, at: float, last: int) -> int:
    """A block whose time is before `at` (unix seconds), near it; 0 where none is. Raises Transient."""
    distances = [_STEP * _FACTOR**power for power in range(_FURTHEST)]
    coarse = [last, *(last - distance for distance in distances if distance < last), 0]
    early, late = await _between(rpc, coarse, at)
    step = max(1, (late - early) // _FINER)
    early, _ = await _between(rpc, [*range(late, early, -step), early], at)
    return early


async def _between(rpc: Rpc, blocks: Sequence[int], at: float) -> tuple[int, int]:
    """Two neighbours of `blocks` (falling), the first of which is before `at` or the lowest."""
    later = blocks[0]
    for number, header in zip(blocks, await rpc.headers(blocks), strict=True):
        if header is None:
            raise Transient(f"no endpoint has the header of block {number}")
        if header.timestamp < at:
            return number, later
        later = number
    return blocks[-1], later
