"""Whose turn it is to redeem, where several redeemers share a database: one holds the lease, the others stand by."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from livefleet.chain import Leases, SpendLimit
from livefleet.chain.lease import HeldLease
from livefleet.kernel import Address, Clock, Round, Transient
from livefleet.payments.redemption_chain import Mined, Redemption, RedemptionChain, Survey
from livefleet.payments.round_times import RoundTimes
from livefleet.payments.ticket import WinningTicket

__all__ = ["RedeemingTurn", "TurnTaking", "redeeming_lease"]

log = logging.getLogger(__name__)

_TTL_S = 30.0


def redeeming_lease(recipient: Address) -> str:
    """The lease that whoever redeems a recipient's tickets holds."""
    return f"redeem {recipient}"


class RedeemingTurn:
    """The redeemer's lease, kept while this is entered. `holder` names this process for people too.

    Where the holder is killed, the lease is free when `ttl_s` is over; where it stops, at once.
    """

    def __init__(self, leases: Leases, recipient: Address, holder: str, *, clock: Clock, ttl_s: float = _TTL_S) -> None:
        self._lease = HeldLease(leases, redeeming_lease(recipient), holder, ttl_s=ttl_s, clock=clock)
        self._group = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None
        self._told: list[Callable[[], None]] = []
        self.standing_by = "the redeemer's lease was not asked for yet"
        """Why this process does not redeem; empty while it may."""

    async def __aenter__(self) -> Self:
        await self._take()
        await self._group.__aenter__()
        self._keeper = self._group.create_task(self._keep(), name="redeeming-turn")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        await self._group.__aexit__(None, None, None)
        with suppress(Transient):
            await self._lease.release()

    @property
    def is_ours(self) -> bool:
        """Whether nobody else can be redeeming now."""
        return self._lease.is_held

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call `changed` when the turn comes or goes."""
        self._told.append(changed)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease.renew_after_s)
            await self._take()

    async def _take(self) -> None:
        had = self.standing_by
        try:
            if await self._lease.take():
                self.standing_by = ""
            else:
                other = await self._lease.other_holder()
                self.standing_by = f"{other.holder if other else 'another redeemer'} redeems for this recipient"
        except Transient as error:
            if not self.is_ours:
                self.standing_by = f"who redeems is not known: {error}"
        if bool(had) != bool(self.standing_by):
            log.info("redeemer.turn", extra={"ours": not self.standing_by, "because": self.standing_by})
            for changed in tuple(self._told):
                changed()


class TurnTaking:
    """A RedemptionChain that sends nothing while it is not this process's turn."""

    def __init__(self, chain: RedemptionChain, turn: RedeemingTurn) -> None:
        self._chain = chain
        self._turn = turn

    async def times(self, current_round: Round) -> RoundTimes:
        """As the chain says."""
        return await self._chain.times(current_round)

    async def is_used(self, ticket_hash: bytes) -> bool:
        """As the chain says."""
        return await self._chain.is_used(ticket_hash)

    async def by_anyone(self, winner: WinningTicket, *, since: float) -> Redemption | None:
        """As the chain says."""
        return await self._chain.by_anyone(winner, since=since)

    async def survey(self, winners: Sequence[WinningTicket]) -> Survey:
        """As the chain says."""
        return await self._chain.survey(winners)

    async def live(self) -> tuple[frozenset[bytes], ...]:
        """Of this process's own key."""
        return await self._chain.live()

    async def allow(self, tickets: frozenset[bytes], limit: SpendLimit) -> None:
        """Of this process's own key."""
        await self._chain.allow(tickets, limit)

    async def redeem(self, winners: Sequence[WinningTicket], *, gas: int, limit: SpendLimit) -> Mined:
        """Send; raises Transient where the turn has gone to another meanwhile."""
        if not self._turn.is_ours:
            raise Transient(self._turn.standing_by or "the redeemer's lease has run out", retry_after_s=1.0)
        return await self._chain.redeem(winners, gas=gas, limit=limit)

    async def earlier(self, winner: WinningTicket) -> Redemption | None:
        """Of this process's own key."""
        return await self._chain.earlier(winner)
