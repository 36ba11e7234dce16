"""What was earned before the books began: found by a subgraph, read from the chain's own receipts.

Fees and rewards come whole: what of them was the orchestrator's own, only the state of those blocks would say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain import ChainClient, checksum_address
from livefleet.chain.logs import Log
from livefleet.kernel import Address
from livefleet.ledger.accounts import Entry, EntryKind
from livefleet.ledger.events import Moment, book_logs
from livefleet.ledger.parties import Contracts, Parties
from livefleet.ledger.subgraph import PastEvent

__all__ = ["History", "read_history"]

_TOLD = (EntryKind.FEE, EntryKind.TICKET, EntryKind.REWARD)
_BATCH = 100


@dataclass(frozen=True, slots=True)
class History:
    """Entries of the time before, and how the two sources agree."""

    entries: tuple[Entry, ...]
    missing: int  # transactions of the subgraph that the chain does not have where it says


async def read_history(
    client: ChainClient, orchestrator: Address, events: Sequence[PastEvent], *, before: int
) -> History:
    """The fees and rewards in those events' receipts, of blocks before the L2 block `before`. Raises Transient."""
    wanted = [event for event in events if event.block < before]
    entries: list[Entry] = []
    missing = 0
    contracts, parties = Contracts.of(client), Parties.of(orchestrator)
    for start in range(0, len(wanted), _BATCH):
        piece = wanted[start : start + _BATCH]
        receipts = await client.rpc.batch(
            [("eth_getTransactionReceipt", ("0x" + event.tx_hash.hex(),)) for event in piece]
        )
        for event, receipt in zip(piece, receipts, strict=True):
            if receipt is None or int(receipt["blockNumber"], 16) != event.block:
                missing += 1
                continue
            entries += _booked(receipt, Moment(event.block, event.at, event.round), parties, contracts)
    return History(tuple(entries), missing)


def _booked(receipt: dict[str, Any], moment: Moment, parties: Parties, contracts: Contracts) -> list[Entry]:
    found = book_logs(_logs(receipt), lambda _: moment, parties, contracts)
    return [entry for entry in found if entry.kind in _TOLD]


def _logs(receipt: dict[str, Any]) -> list[Log]:
    return [
        Log(
            address=checksum_address(_raw(log["address"])),
            topics=tuple(_raw(topic) for topic in log["topics"]),
            data=_raw(log["data"]),
            block_number=int(log["blockNumber"], 16),
            block_hash=_raw(log["blockHash"]),
            tx_hash=_raw(log["transactionHash"]),
            log_index=int(log["logIndex"], 16),
        )
        for log in receipt["logs"]
    ]


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
