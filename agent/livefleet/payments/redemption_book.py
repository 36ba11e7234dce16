"""What becomes of winning tickets: written to the store, counted in the report, named in the log."""

import logging
from collections import Counter
from typing import assert_never

from livefleet.kernel import Clock, Tally, Transient, Wei
from livefleet.payments.decision import Moment, Verdict, Wait, Why, verdict, waits_for
from livefleet.payments.losses import LOSS_SHOWN_S, LOSSES_KEPT, Loss, Losses
from livefleet.payments.records import Settlement, StoredTicket, TicketState
from livefleet.payments.redemption_chain import Redemption, RedemptionChain
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.payments.redemption_report import RedemptionReport
from livefleet.payments.sender_monitor import ChainReader
from livefleet.payments.store import Winners

__all__ = ["RedemptionBook"]

log = logging.getLogger(__name__)

_MOST_SEARCHES = 5  # for what somebody else's transaction paid


class RedemptionBook:
    """One entry for each thing that can be said of a ticket. Raises StoreFailed where it cannot be written."""

    def __init__(
        self, store: Winners, chain: ChainReader, broker: RedemptionChain, policy: RedemptionPolicy, clock: Clock
    ) -> None:
        self._store = store
        self._chain = chain
        self._broker = broker
        self._policy = policy
        self._clock = clock
        self.report = RedemptionReport()
        """What has been written since the last look."""
        self.losses = Losses(clock)
        """What was lost or paid short since the start."""
        self.redeemed_value = Tally()
        """Face values redeemed since the start, in wei by sender."""
        self._searches: Counter[bytes] = Counter()  # that failed, by ticket hash

    def go_by(self, policy: RedemptionPolicy) -> None:
        """Judge by it from now on."""
        self._policy = policy

    async def recall(self) -> None:
        """Know what earlier lives lost lately. Raises StoreFailed."""
        since = self._clock.now() - LOSS_SHOWN_S
        self.losses.recall(map(Loss.of, await self._store.lost(since, LOSSES_KEPT)))

    def begin_look(self, tickets: int) -> None:
        """What they waited for when transactions ended is found anew."""
        self.report.looked_at = tickets
        self.report.waiting.clear()
        self.report.why.clear()

    def turn_page(self) -> RedemptionReport:
        """The report so far; the next entries go into a new one."""
        report, self.report = self.report, RedemptionReport()
        return report

    async def redeemed(self, stored: StoredTicket, redemption: Redemption) -> None:
        """Our transaction redeemed it."""
        await self._settle_redeemed(stored, redemption, "redeemed")
        self.report.redeemed += 1
        self.report.short = Wei(self.report.short + stored.winner.ticket.face_value - redemption.paid)

    async def refused(self, stored: StoredTicket, reason: str, moment: Moment | None) -> None:
        """The contract refused it, with its own words."""
        winner = stored.winner
        match verdict(reason, winner, self._chain.head()):
            case Verdict.USED:
                await self.used(stored)
            case Verdict.PERMANENT:
                await self.lost(stored, reason)
            case Verdict.RETRY:
                await self.waits(stored, waits_for(reason), moment)
            case Verdict.ALARM:
                log.error("ticket.alarm", extra={"ticket": winner.ticket.hash.hex(), "reason": reason})
                self.report.alarms.append(f"{winner.ticket.hash.hex()}: {reason}")
                await self.waits(stored, waits_for(reason), moment)
            case never:
                assert_never(never)

    async def used(self, stored: StoredTicket) -> None:
        """An earlier life of ours, or somebody else, redeemed it: by the intents, or else by the chain's events."""
        redemption, note = await self._broker.earlier(stored.winner), "redeemed"
        if redemption is None:
            redemption = await self._found(stored)
            if redemption is None and await self._is_looked_for_again(stored):
                return
            note = "found used on chain" if redemption is None else "found redeemed on chain"
        await self._settle_redeemed(stored, redemption, note)
        self._searches.pop(stored.winner.ticket.hash, None)
        self.report.used_before += 1

    async def _found(self, stored: StoredTicket) -> Redemption | None:
        """Who redeemed it by the chain's events; None where they cannot be had or an endpoint has not come so far."""
        because = "no such event"
        try:
            if (redemption := await self._broker.by_anyone(stored.winner, since=stored.received_at)) is not None:
                return redemption
        except Transient as error:
            because = str(error)
        log.warning("ticket.not_found", extra={"ticket": stored.winner.ticket.hash.hex(), "because": because})
        return None

    async def _is_looked_for_again(self, stored: StoredTicket) -> bool:
        """Whether what it was paid is worth another search: it is redeemed, and nothing but that is lost."""
        ticket_hash = stored.winner.ticket.hash
        self._searches[ticket_hash] += 1
        if self._searches[ticket_hash] >= _MOST_SEARCHES:
            return False
        await self.waits(stored, Wait(Why.CHAIN, "redeemed; what it was paid is looked up"), None)
        return True

    async def lost(self, stored: StoredTicket, reason: str) -> None:
        """It can never be redeemed, unless the contract has it."""
        ticket = stored.winner.ticket
        if await self._broker.is_used(ticket.hash):
            await self.used(stored)
            return
        waited_for = stored.note if stored.note != reason else ""
        loss = Loss(self._clock.now(), ticket.sender, ticket.face_value, reason, waited_for)
        await self._store.settle(
            Settlement(ticket_hash=ticket.hash, state=TicketState.LOST, note=loss.note, at=loss.at)
        )
        self.report.lost += 1
        self.report.lost_value = Wei(self.report.lost_value + ticket.face_value)
        self.losses.lose(loss)
        log.error(
            "ticket.lost",
            extra={
                "ticket": ticket.hash.hex(),
                "sender": ticket.sender,
                "face_value": ticket.face_value,
                "round": ticket.creation_round,
                "reason": reason,
                "waited_for": waited_for,
            },
        )

    def is_late(self, stored: StoredTicket, because: str, moment: Moment) -> None:
        """It is about to be redeemed and was before, in vain or for long; told where its last moment nears."""
        if moment.is_urgent(stored.winner, self._policy):
            self.report.expiring.add(stored.winner.ticket.face_value, moment.blocks_left(stored.winner), because)

    async def waits(self, stored: StoredTicket, wait: Wait, moment: Moment | None) -> None:
        """It stays pending. `moment`: None where no look at the chain says how long it may."""
        self.report.waiting[wait.text] += 1
        self.report.why[wait.why] += 1
        if moment is not None and self._is_pressing(stored, wait, moment):
            value = stored.winner.ticket.face_value
            self.report.expiring.add(value, moment.blocks_left(stored.winner), wait.text)
        if wait.text != stored.note:
            await self._store.note(stored.winner.ticket.hash, wait.text)
            log.info("ticket.waits", extra={"ticket": stored.winner.ticket.hash.hex(), "reason": wait.text})

    def _is_pressing(self, stored: StoredTicket, wait: Wait, moment: Moment) -> bool:
        left = moment.blocks_left(stored.winner)
        if wait.why is Why.PARAMETERS:
            return stored.winner.expiration_block - moment.head.l1_block >= left
        return moment.is_urgent(stored.winner, self._policy)

    async def _settle_redeemed(self, stored: StoredTicket, redemption: Redemption | None, note: str) -> None:
        ticket = stored.winner.ticket
        await self._store.settle(
            Settlement(
                ticket_hash=ticket.hash,
                state=TicketState.REDEEMED,
                note=note,
                tx_hash=None if redemption is None else redemption.tx_hash,
                paid=None if redemption is None else redemption.paid,
                at=self._clock.now(),
            )
        )
        facts = {"ticket": ticket.hash.hex(), "sender": ticket.sender, "face_value": ticket.face_value}
        if redemption is None:
            log.info("ticket.used", extra=facts)
            return
        facts |= {"tx": "0x" + redemption.tx_hash.hex(), "paid": redemption.paid, "round": ticket.creation_round}
        self.report.paid = Wei(self.report.paid + redemption.paid)
        self.redeemed_value.add(ticket.sender, by=float(ticket.face_value))
        missing = ticket.face_value - redemption.paid
        if missing > 0:
            self.losses.short.add(ticket.sender, by=float(missing))
        log.log(logging.WARNING if missing > 0 else logging.INFO, "ticket.redeemed", extra=facts)
