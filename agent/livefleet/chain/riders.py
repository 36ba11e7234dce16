"""What rides along with the looks of the watcher: funds of senders that pay, and whether orchestrators are active.

Whoever was asked about lately is read again with each look, so that a payment does not wait for the node. What
strangers ask about is bounded, see `inquiries`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import IS_ACTIVE_TRANSCODER
from livefleet.chain.inquiries import Inquiries
from livefleet.chain.models import SenderInfo
from livefleet.chain.rpc import Read
from livefleet.kernel import Address, Clock

__all__ = ["Riders"]

T = TypeVar("T")

_RIDE_ALONG_S = 120.0  # how long after the last question a sender or orchestrator is still refreshed
_RIDE_ALONG_LIMIT = 40
_PAYING_LIMIT = 10_000


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T
    asked_at: float


@dataclass(frozen=True, slots=True)
class Ride:
    """Who is read again with one look."""

    actives: tuple[Address, ...]
    senders: tuple[Address, ...]
    reads: tuple[Read, ...]


class Riders:
    """Answers as of the last look. One event loop's property."""

    def __init__(self, client: ChainClient, recipient: Address, clock: Clock) -> None:
        self._client = client
        self._recipient = recipient
        self._clock = clock
        self._senders: dict[Address, _Kept[SenderInfo]] = {}
        self._actives: dict[Address, _Kept[bool]] = {}
        self._paying: dict[Address, None] = {}  # senders that had funds, the latest last
        self._asked_senders: Inquiries[SenderInfo] = Inquiries("senders", clock)
        self._asked_actives: Inquiries[bool] = Inquiries("orchestrators", clock)

    def know(self, senders: Iterable[Address]) -> None:
        """These have paid before: they are always asked about."""
        for sender in senders:
            self._paying.pop(sender, None)
            self._paying[sender] = None
        while len(self._paying) > _PAYING_LIMIT:
            del self._paying[next(iter(self._paying))]

    async def sender_info(self, sender: Address, block: int) -> SenderInfo:
        """A sender's funds; read at `block` unless they ride along. Raises Transient."""
        kept = self._senders.get(sender)
        if kept is None:

            async def read() -> SenderInfo:
                return await self._client.broker.sender_info(sender, self._recipient, block=block)

            info = await self._asked_senders.ask(sender, read, known=sender in self._paying)
            if not _has_funds(info):
                return info
            self.know([sender])
            kept = self._senders.setdefault(sender, _Kept(info, 0.0))
        kept.asked_at = self._clock.monotonic()
        return kept.value

    async def is_active(self, address: Address, block: int) -> bool:
        """Whether an orchestrator is active; read at `block` unless it rides along. Raises Transient."""
        kept = self._actives.get(address)
        if kept is None:

            async def read() -> bool:
                return await self._client.bonding.is_active(address, block=block)

            ours = address == self._recipient
            active = await self._asked_actives.ask(address, read, known=ours)
            if not ours:
                return active
            kept = self._actives.setdefault(address, _Kept(active, 0.0))
        kept.asked_at = self._clock.monotonic()
        return kept.value

    @property
    def are_aboard(self) -> bool:
        """Whether a sender was asked about lately: somebody pays, or thinks of it."""
        oldest = self._clock.monotonic() - _RIDE_ALONG_S
        return any(kept.asked_at >= oldest for kept in self._senders.values())

    def forget_strangers(self) -> None:
        """The chain has moved: what was read of those that do not ride along holds no more."""
        self._asked_senders.forget()
        self._asked_actives.forget()

    def board(self) -> Ride:
        """Who is read with the next look; those that nobody asks about any more are forgotten."""
        broker, bonding = self._client.broker, self._client.bonding
        actives, senders = self._lately(self._actives), self._lately(self._senders)
        reads = [
            *(bonding.read(IS_ACTIVE_TRANSCODER, address) for address in actives),
            *(read for sender in senders for read in broker.sender_info_reads(sender, self._recipient)),
        ]
        return Ride(tuple(actives), tuple(senders), tuple(reads))

    def alight(self, ride: Ride, answers: Sequence[tuple[Any, ...]]) -> None:
        """Take what the reads of `ride` gave."""
        rest = list(answers)
        for address in ride.actives:
            (active,), *rest = rest
            if address in self._actives:
                self._actives[address].value = active
        for sender in ride.senders:
            funds, claimed, *rest = rest
            if sender in self._senders:
                self._senders[sender].value = self._client.broker.to_sender_info(funds, claimed)

    def _lately(self, kept: dict[Address, _Kept[T]]) -> list[Address]:
        """Forget what nobody asks about any more; name what is refreshed, the most recently asked first."""
        oldest = self._clock.monotonic() - _RIDE_ALONG_S
        ranked = sorted(kept, key=lambda address: kept[address].asked_at, reverse=True)
        live = [address for address in ranked if kept[address].asked_at >= oldest][:_RIDE_ALONG_LIMIT]
        for address in set(ranked) - set(live):
            del kept[address]
        return live


def _has_funds(info: SenderInfo) -> bool:
    return info.deposit > 0 or info.reserve_remaining > 0
