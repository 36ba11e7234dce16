"""What a sender is good for.

Source: go-livepeer pm/sendermonitor.go; TicketBroker reserve rules.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from livefleet.chain.models import ChainHead, SenderInfo
from livefleet.kernel import Address, Wei

__all__ = ["ChainReader", "SenderMonitor", "available_funds", "is_unlocking", "max_float", "reserve_alloc"]

_DEPOSIT_COVERS = 3  # a deposit of this many times the pending amount leaves the reserve untouched


class ChainReader(Protocol):
    """The chain as its watcher saw it last."""

    def head(self) -> ChainHead:
        """Raises Transient while nothing was seen."""
        ...

    async def sender_info(self, sender: Address) -> SenderInfo:
        """A sender's funds, kept current by the watcher."""
        ...

    async def is_active(self, address: Address) -> bool:
        """Whether `address` is an active orchestrator in the current round."""
        ...


class SenderMonitor:
    """A sender's float with what is being redeemed right now taken off. One event loop's property."""

    def __init__(self, chain: ChainReader) -> None:
        self._chain = chain
        self._pending: defaultdict[Address, int] = defaultdict(int)
        self._told: list[Callable[[], None]] = []

    async def max_float(self, sender: Address) -> int:
        """The highest face value to accept; may be negative."""
        info = await self._chain.sender_info(sender)
        return max_float(info, self._chain.head().pool_size, self.pending(sender))

    async def is_unlocking(self, sender: Address) -> bool:
        """Whether the sender's funds may be gone before a ticket of this round can be redeemed."""
        info = await self._chain.sender_info(sender)
        return is_unlocking(info, self._chain.head())

    def pending(self, sender: Address) -> Wei:
        """Face values whose redemption is under way."""
        return Wei(self._pending.get(sender, 0))

    @contextmanager
    def redeeming(self, sender: Address, face_value: Wei) -> Iterator[None]:
        """Count `face_value` as pending while the block runs, however it ends."""
        self._pending[sender] += face_value
        self._tell()
        try:
            yield
        finally:
            self._pending[sender] -= face_value
            if not self._pending[sender]:
                del self._pending[sender]
            self._tell()

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever what is pending is another; the answer ends it."""
        self._told.append(changed)
        return lambda: self._told.remove(changed)

    def _tell(self) -> None:
        for changed in tuple(self._told):
            changed()


def reserve_alloc(info: SenderInfo, pool_size: int) -> int:
    """The recipient's share of the sender's reserve that it has not claimed yet. Negative after the pool grew."""
    if pool_size == 0:
        return 0
    reserve = info.reserve_remaining + info.reserve_claimed_in_round
    return reserve // pool_size - info.reserve_claimed_by_recipient


def max_float(info: SenderInfo, pool_size: int, pending: Wei) -> int:
    """The share of the reserve; what is pending comes off unless the deposit covers it three times."""
    share = reserve_alloc(info, pool_size)
    if pending > 0 and info.deposit >= _DEPOSIT_COVERS * pending:
        return share
    return share - pending


def available_funds(info: SenderInfo, pool_size: int, pending: Wei) -> int:
    """All that a redemption could be paid from."""
    return reserve_alloc(info, pool_size) + info.deposit - pending


def is_unlocking(info: SenderInfo, head: ChainHead) -> bool:
    """Whether the deposit and reserve unlock in the next round or earlier."""
    return info.withdraw_round != 0 and info.withdraw_round <= head.last_initialized_round + 1
