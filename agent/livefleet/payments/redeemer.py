"""Turning winning tickets into ETH."""

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import assert_never

from livefleet.chain import Reverted
from livefleet.kernel import Clock, Tally, Transient, Wei
from livefleet.payments.decision import (
    AlreadyUsed,
    Decision,
    Facts,
    Lose,
    Redeem,
    Verdict,
    Wait,
    before_asking,
    decide,
    verdict,
)
from livefleet.payments.errors import StoreFailed
from livefleet.payments.records import Settlement, StoredTicket, TicketState
from livefleet.payments.redemption_chain import Redemption, RedemptionChain
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.store import TicketStore
from livefleet.payments.ticket import WinningTicket

__all__ = ["Redeemer", "RedemptionReport"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RedemptionReport:
    """What one look at the pending tickets came to."""

    looked_at: int = 0
    redeemed: int = 0
    used_before: int = 0  # the contract had them already
    lost: int = 0
    lost_value: Wei = Wei(0)  # their face values
    paid: Wei = Wei(0)
    short: Wei = Wei(0)  # face value less what was paid, of those redeemed now
    waiting: Counter[str] = field(default_factory=Counter)  # by reason
    alarms: list[str] = field(default_factory=list)  # something that should be impossible


class Redeemer:
    """Redeems what the store holds. Level-based: every look starts from the store and the chain, not from memory.

    `in_flight` tickets are handled at a time, so that one whose transaction is stuck keeps no others waiting.
    """

    def __init__(
        self,
        store: TicketStore,
        chain: ChainReader,
        broker: RedemptionChain,
        monitor: SenderMonitor,
        *,
        redeem_gas: int,
        clock: Clock,
        max_gas_price: Wei = Wei(0),
        in_flight: int = 4,
    ) -> None:
        self._store = store
        self._chain = chain
        self._broker = broker
        self._monitor = monitor
        self._redeem_gas = redeem_gas
        self._clock = clock
        self._max_gas_price = max_gas_price
        self._in_flight = in_flight
        self.redeemed_value = Tally()
        """Face values redeemed since the start, in wei by sender; for reading only."""
        self.errors = Tally()
        """Redemptions that the chain refused or that could not be sent, by sender; for reading only."""

    async def run_once(self) -> RedemptionReport:
        """Try every pending ticket once, those whose parameters expired first and the most valuable before others.

        Waits for transactions that it sends. Raises Transient where the chain was not seen or the store cannot be
        read or written; a ticket's own trouble is in the report.
        """
        self._chain.head()
        report = RedemptionReport()
        waiting = deque(await self._store.pending())
        report.looked_at = len(waiting)
        failed: list[StoreFailed] = []

        async def work_off() -> None:
            while waiting and not failed:
                try:
                    await self._handle(waiting.popleft(), report)
                except StoreFailed as error:
                    failed.append(error)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._in_flight, report.looked_at)):
                tasks.create_task(work_off())
        if failed:
            raise failed[0]
        return report

    async def _handle(self, stored: StoredTicket, report: RedemptionReport) -> None:
        try:
            try:
                await self._carry_out(await self._decide(stored.winner), stored, report)
            except Reverted as error:
                await self._reverted(stored, error.reason, report)
        except StoreFailed:
            raise
        except Transient as error:
            await self._wait(stored, str(error), report)

    async def _carry_out(self, decision: Decision, stored: StoredTicket, report: RedemptionReport) -> None:
        match decision:
            case Redeem():
                await self._redeem(stored, report)
            case Wait(reason):
                await self._wait(stored, reason, report)
            case AlreadyUsed():
                await self._used(stored.winner, report)
            case Lose(reason):
                await self._lose(stored.winner, reason, report)
            case _:
                assert_never(decision)

    async def _decide(self, winner: WinningTicket) -> Decision:
        head = self._chain.head()
        early = before_asking(winner, head, max_gas_price=self._max_gas_price)
        if not isinstance(early, Redeem):
            return early
        ticket = winner.ticket
        facts = Facts(
            used=await self._broker.is_used(ticket.hash),
            active=await self._chain.is_active(ticket.recipient),
            sender=await self._chain.sender_info(ticket.sender),
            claimable=await self._claimable(winner),
            pending=self._monitor.pending(ticket.sender),
            tx_cost=self._redeem_gas * head.gas_price,
        )
        return decide(winner, head, facts)

    async def _claimable(self, winner: WinningTicket) -> Wei | None:
        try:
            return await self._broker.claimable_reserve(winner.ticket.sender)
        except Reverted as error:
            if error.reason == "Panic(0x11)":
                return None
            raise

    async def _redeem(self, stored: StoredTicket, report: RedemptionReport) -> None:
        winner = stored.winner
        ticket = winner.ticket
        with self._monitor.redeeming(ticket.sender, ticket.face_value):
            try:
                redemption = await self._broker.redeem(winner, max_gas_price=self._max_gas_price)
            except (Reverted, Transient):
                self.errors.add(ticket.sender)
                raise
        await self._settle_redeemed(winner, redemption, "redeemed")
        report.redeemed += 1
        report.paid = Wei(report.paid + redemption.paid)
        report.short = Wei(report.short + ticket.face_value - redemption.paid)

    async def _used(self, winner: WinningTicket, report: RedemptionReport) -> None:
        """An earlier life of ours, or somebody else, redeemed it."""
        redemption = await self._broker.earlier(winner)
        if redemption is None:
            await self._settle_redeemed(winner, None, "found used on chain")
        else:
            await self._settle_redeemed(winner, redemption, "redeemed")
            report.paid = Wei(report.paid + redemption.paid)
        report.used_before += 1

    async def _settle_redeemed(self, winner: WinningTicket, redemption: Redemption | None, note: str) -> None:
        ticket = winner.ticket
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
        self.redeemed_value.add(ticket.sender, by=float(ticket.face_value))
        short = redemption.paid < ticket.face_value
        log.log(logging.WARNING if short else logging.INFO, "ticket.redeemed", extra=facts)

    async def _lose(self, winner: WinningTicket, reason: str, report: RedemptionReport) -> None:
        ticket = winner.ticket
        if await self._broker.is_used(ticket.hash):
            await self._used(winner, report)
            return
        await self._store.settle(
            Settlement(ticket_hash=ticket.hash, state=TicketState.LOST, note=reason, at=self._clock.now())
        )
        report.lost += 1
        report.lost_value = Wei(report.lost_value + ticket.face_value)
        log.error(
            "ticket.lost",
            extra={
                "ticket": ticket.hash.hex(),
                "sender": ticket.sender,
                "face_value": ticket.face_value,
                "round": ticket.creation_round,
                "reason": reason,
            },
        )

    async def _wait(self, stored: StoredTicket, reason: str, report: RedemptionReport) -> None:
        report.waiting[reason] += 1
        if reason != stored.note:
            await self._store.note(stored.winner.ticket.hash, reason)
            log.info("ticket.waits", extra={"ticket": stored.winner.ticket.hash.hex(), "reason": reason})

    async def _reverted(self, stored: StoredTicket, reason: str, report: RedemptionReport) -> None:
        winner = stored.winner
        match verdict(reason, winner, self._chain.head()):
            case Verdict.USED:
                await self._used(winner, report)
            case Verdict.PERMANENT:
                await self._lose(winner, reason, report)
            case Verdict.RETRY:
                await self._wait(stored, reason or "transaction reverted without a reason", report)
            case Verdict.ALARM:
                log.error("ticket.alarm", extra={"ticket": winner.ticket.hash.hex(), "reason": reason})
                report.alarms.append(f"{winner.ticket.hash.hex()}: {reason}")
                await self._wait(stored, reason, report)
            case never:
                assert_never(never)
