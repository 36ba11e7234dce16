"""The redeemer's side of sharing: tickets of several orchestrators are checked and kept, floats are told."""

import logging
from collections.abc import Callable
from fractions import Fraction

from livefleet.kernel import Address, Clock, Refused, SessionId
from livefleet.payments.recipient import commitment
from livefleet.payments.records import PaymentRecord
from livefleet.payments.sender_monitor import SenderMonitor
from livefleet.payments.store import TicketStore
from livefleet.payments.ticket import WinningTicket

__all__ = ["RedeemerDesk", "WrongRecipient"]

log = logging.getLogger(__name__)

_SESSION = SessionId("redeemer")  # tickets that come from other nodes belong to no session of ours


class WrongRecipient(Refused):
    """A ticket for somebody else."""

    def __init__(self, recipient: Address, expected: Address) -> None:
        super().__init__(f"invalid ticket recipient {recipient}, expected {expected}")


class RedeemerDesk:
    """Takes winning tickets of one recipient. `subscribe_chain` tells of each new head, as the watcher does."""

    def __init__(
        self,
        store: TicketStore,
        monitor: SenderMonitor,
        *,
        recipient: Address,
        clock: Clock,
        subscribe_chain: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self.recipient = recipient
        self._store = store
        self._monitor = monitor
        self._clock = clock
        self._subscribe_chain = subscribe_chain

    async def queue(self, winner: WinningTicket) -> None:
        """Keep a ticket; it is on disk on return, also where it was before.

        Raises WrongRecipient, Refused for a ticket that cannot be redeemed, and StoreFailed.
        """
        ticket = winner.ticket
        if ticket.recipient != self.recipient:
            raise WrongRecipient(ticket.recipient, self.recipient)
        if commitment(winner.recipient_rand) != ticket.recipient_rand_hash:
            raise Refused("invalid recipientRand for ticket recipientRandHash")
        if not ticket.is_signed(winner.signature):
            raise Refused("invalid ticket signature")
        if not ticket.is_winning(winner.signature, winner.recipient_rand):
            raise Refused("ticket did not win")
        record = PaymentRecord(
            account=(ticket.sender, _SESSION),
            recipient_rand_hash=ticket.recipient_rand_hash,
            expiration_block=winner.expiration_block,
            nonces=(),
            ticket_value=Fraction(0),
            winners=(winner,),
            fixed_price=None,
            at=self._clock.now(),
        )
        await self._store.take(record, lambda _: None)
        facts = {"ticket": ticket.hash.hex(), "sender": ticket.sender, "face_value": ticket.face_value}
        log.info("ticket.queued", extra=facts)

    async def max_float(self, sender: Address) -> int:
        """The highest face value to accept of a sender, never below zero: the message knows no sign."""
        return max(0, await self._monitor.max_float(sender))

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` when a float may be another; the answer ends it."""
        leave = (self._subscribe_chain(changed), self._monitor.subscribe(changed))

        def unsubscribe() -> None:
            for end in leave:
                end()

        return unsubscribe
