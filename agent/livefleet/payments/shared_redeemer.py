"""Winning tickets handed to a redeemer that several orchestrators share, and what it knows of senders.

A ticket stays in our own store until the chain says what became of it: the other side owes us nothing but its word.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from livefleet.kernel import Address, Clock, OutsideWorld, Refused, Transient, Wei
from livefleet.payments.decision import VALIDITY_ROUNDS
from livefleet.payments.records import Settlement, StoredTicket, TicketState
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.store import TicketStore
from livefleet.payments.ticket import WinningTicket

__all__ = ["HandOver", "HandOverReport", "SharedFloat", "TicketRedeemer"]

log = logging.getLogger(__name__)

HANDED_OVER = "with the shared redeemer"

_AGAIN_S = 600.0  # a ticket that could have been redeemed for so long is handed over once more


class TicketRedeemer(Protocol):
    """The other side."""

    async def queue(self, winner: WinningTicket) -> None:
        """Hand a ticket over; it is durable there on return, also where it was there before.

        Raises Refused where it will never be taken, OutsideWorld or Transient where it was not heard.
        """
        ...

    async def max_float(self, sender: Address) -> int | None:
        """The highest face value that it would redeem of a sender. None: not known now."""
        ...


class SharedFloat(SenderMonitor):
    """A sender's float as both sides see it: what others have in flight is known over there, the chain is here too."""

    def __init__(self, chain: ChainReader, redeemer: TicketRedeemer) -> None:
        super().__init__(chain)
        self._redeemer = redeemer

    async def max_float(self, sender: Address) -> int:
        """The smaller of both; ours alone while the redeemer does not answer, so that no session ends for that."""
        own = await super().max_float(sender)
        theirs = await self._redeemer.max_float(sender)
        return own if theirs is None else min(own, theirs)


@dataclass(slots=True)
class HandOverReport:
    """What one look at the pending tickets came to."""

    handed_over: int = 0
    with_redeemer: int = 0
    redeemed: int = 0
    lost: int = 0
    lost_value: Wei = Wei(0)
    waiting: Counter[str] = field(default_factory=Counter)  # not handed over, by reason


class HandOver:
    """Hands over what the store holds, and settles it by what the chain says. Every look starts from both.

    `is_used`: whether the contract has taken a ticket, by its hash. `validity`: rounds for which a ticket can be
    redeemed, its creation round included.
    """

    def __init__(
        self,
        store: TicketStore,
        chain: ChainReader,
        redeemer: TicketRedeemer,
        is_used: Callable[[bytes], Awaitable[bool]],
        *,
        clock: Clock,
        validity: int = VALIDITY_ROUNDS,
    ) -> None:
        self._store = store
        self._chain = chain
        self._redeemer = redeemer
        self._is_used = is_used
        self._clock = clock
        self._validity = validity
        self._handed_at: dict[bytes, float] = {}  # of this process

    async def run_once(self) -> HandOverReport:
        """Look at every pending ticket once. Raises Transient where the chain was not seen or the store fails."""
        head = self._chain.head()
        report = HandOverReport()
        for stored in await self._store.pending():
            winner = stored.winner
            expired = winner.ticket.creation_round + self._validity <= head.current_round
            redeemable = winner.expiration_block <= head.l1_block
            if (redeemable or expired) and await self._is_used(winner.ticket.hash):
                await self._settle(winner, TicketState.REDEEMED, "redeemed by the shared redeemer")
                report.redeemed += 1
            elif expired:
                await self._settle(winner, TicketState.LOST, "ticket is expired")
                report.lost += 1
                report.lost_value = Wei(report.lost_value + winner.ticket.face_value)
            elif self._is_there(stored, redeemable=redeemable):
                report.with_redeemer += 1
            else:
                await self._hand_over(stored, report)
        return report

    def _is_there(self, stored: StoredTicket, *, redeemable: bool) -> bool:
        if stored.note != HANDED_OVER:
            return False
        since = self._handed_at.setdefault(stored.winner.ticket.hash, self._clock.now())
        return not redeemable or self._clock.now() - since < _AGAIN_S

    async def _hand_over(self, stored: StoredTicket, report: HandOverReport) -> None:
        ticket = stored.winner.ticket
        try:
            await self._redeemer.queue(stored.winner)
        except (Refused, OutsideWorld, Transient) as error:
            report.waiting[str(error)] += 1
            if str(error) != stored.note:
                await self._store.note(ticket.hash, str(error))
                log.warning("ticket.not_handed_over", extra={"ticket": ticket.hash.hex(), "error": str(error)})
            return
        await self._store.note(ticket.hash, HANDED_OVER)
        self._handed_at[ticket.hash] = self._clock.now()
        report.handed_over += 1
        facts = {"ticket": ticket.hash.hex(), "sender": ticket.sender, "face_value": ticket.face_value}
        log.info("ticket.handed_over", extra=facts)

    async def _settle(self, winner: WinningTicket, state: TicketState, note: str) -> None:
        ticket = winner.ticket
        await self._store.settle(Settlement(ticket_hash=ticket.hash, state=state, note=note, at=self._clock.now()))
        self._handed_at.pop(ticket.hash, None)
        facts = {"ticket": ticket.hash.hex(), "sender": ticket.sender, "face_value": ticket.face_value}
        if state is TicketState.LOST:
            log.error("ticket.lost", extra=facts | {"round": ticket.creation_round, "reason": note})
        else:
            log.info("ticket.redeemed", extra=facts)
