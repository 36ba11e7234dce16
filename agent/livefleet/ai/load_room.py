"""Memory for loading a model, asked of its device's ledger."""

import asyncio
from collections.abc import Callable

from livefleet.ai.catalogue import Placement
from livefleet.ai.residency import Need, claim_of
from livefleet.hardware import Holder, Lease, NoMemory, VramLedger

__all__ = ["LoadRoom"]

_ASK_AGAIN_S = 5.0  # for memory that strangers may have given back, which nobody tells


class LoadRoom:
    """Asks for one placement, whose `holder` the ledger may ask to give way later."""

    def __init__(self, placement: Placement, ledger: VramLedger, *, holder: Holder) -> None:
        self._placement = placement
        self._ledger = ledger
        self._holder = holder

    def could_be(self, need: Need) -> bool:
        """Whether there is room, counted with what others would have to give back."""
        entry = self._placement.entry
        return self._ledger.could(
            self._placement.device,
            entry.model_id,
            need.amount or 1,
            claim=claim_of(self._placement),
            priority=entry.priority,
        )

    async def lease(self, need: Callable[[], Need], *, waits: Callable[[NoMemory], None] | None) -> Lease:
        """What the load may use. Where there is no room `waits` is told each time; without it that raises NoMemory."""
        await self._ledger.look()
        while True:
            try:
                return await self._lease(need())
            except NoMemory as error:
                if waits is None:
                    raise
                waits(error)
            try:
                async with asyncio.timeout(_ASK_AGAIN_S):
                    await self._ledger.changed()
            except TimeoutError:
                await self._ledger.look()

    async def _lease(self, need: Need) -> Lease:
        entry, device, claim = self._placement.entry, self._placement.device, claim_of(self._placement)
        amount = need.amount
        if amount is None:
            # Whatever it turns out to need: nobody else loads meanwhile.
            amount = max(1, self._ledger.free(device, claim) or 1)
        lease = self._ledger.lease(
            device, entry.model_id, amount, claim=claim, priority=entry.priority, holder=self._holder
        )
        try:
            await lease.ready()
        except BaseException:
            lease.release()
            raise
        return lease
