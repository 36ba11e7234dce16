"""The recipient's last round in the active set: parameters closed in time, so that all that was won can be redeemed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from livefleet.chain.models import ChainHead
from livefleet.kernel import BlockNumber, Condition, Status
from livefleet.payments import Departure, PoolPlace, blocks_to_the_end, departure_of
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["ACTIVE_NEXT_ROUND", "DepartureResource", "NothingQuoted", "Parameters"]

ACTIVE_NEXT_ROUND = "ActiveNextRound"

_EVERY_S = 5.0  # whether anything is in use, which asks nobody
_LOOK_AGAIN_BLOCKS = 300  # L1 blocks, an hour: to begin early where the end of the round is far


class Parameters(Protocol):
    """What is quoted to senders."""

    def end_parameters_at(self, block: BlockNumber | None) -> None:
        """Quote parameters that expire at this L1 block at the latest, and none from it on."""
        ...

    async def close_parameters(self) -> None:
        """Have all that were quoted expire now, for good; does nothing the second time. Raises StoreFailed."""
        ...


class NothingQuoted:
    """The parameters of one who quotes none, such as a redeemer for others."""

    def end_parameters_at(self, block: BlockNumber | None) -> None:
        """There are none."""

    async def close_parameters(self) -> None:
        """There are none."""


class PlaceReader(Protocol):
    """The pool as the chain has it."""

    async def place(self) -> PoolPlace:
        """The recipient's. Raises Transient."""
        ...


@dataclass(frozen=True, slots=True)
class DepartureObserved:
    """The round, and whether it is the recipient's last."""

    head: ChainHead
    departure: Departure | None
    hurry: bool = False  # what was won has to be redeemed before the reward, which ends the activity at once


class DepartureResource:
    """Asks about the pool near the end of a round, and now and then before, while there is money in tickets.

    `in_use`: whether a ticket may come or waits. `expect` is told the L1 block at which to look. `hurry`: whether what
    was won has to be redeemed now rather than by the round's end.
    """

    name = "departure"

    def __init__(
        self,
        head: Callable[[], ChainHead],
        reader: PlaceReader,
        parameters: Parameters,
        *,
        in_use: Callable[[], bool],
        expect: Callable[[BlockNumber], None] = lambda _: None,
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        self._head = head
        self._reader = reader
        self._parameters = parameters
        self._in_use = in_use
        self._expect = expect
        self._hurry = hurry
        self._hurried = False  # at the last look
        self._told: list[Callable[[], None]] = []
        self._found: Departure | None = None
        self._looked_at: tuple[int, int] | None = None  # round, L1 block

    @property
    def departure(self) -> Departure | None:
        """As last seen, of this round."""
        found = self._found
        return found if found is not None and found.round == self._head().current_round else None

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call `changed` when the redeemer should look."""
        self._told.append(changed)

    async def observe(self) -> DepartureObserved:
        """The pool where it matters; nothing is asked twice in one L1 block."""
        head, hurry = self._head(), self._hurry()
        if head.round_length and (hurry or self._hurried or self._in_use()):
            if self._is_due(head, hurry=hurry):
                before = self._found
                self._found = departure_of(await self._reader.place(), head)
                self._looked_at, self._hurried = (head.current_round, head.l1_block), hurry
                if before != self._found:
                    self._changed()
            self._expect(_next_look(head))
        found = self.departure
        self._parameters.end_parameters_at(_parameters_end(head, found, hurry=hurry))
        return DepartureObserved(head, found, hurry)

    def plan(self, observed: DepartureObserved) -> Plan:
        """Close what was quoted, once the time that is left is for redeeming."""
        found, head = observed.departure, observed.head
        if found is None:
            return Plan((), (), Again(_EVERY_S))
        if not found.is_sure:
            text = (
                f"last in a full pool: whoever stakes more before round {found.round} ends, in "
                f"{head.blocks_left_in_round} L1 blocks, takes its place, and tickets that are not redeemed by then "
                "are lost; so they are redeemed at once, whatever gas costs; add stake to be safe"
            )
            return Plan((), (_condition(Status.UNKNOWN, "LastInPool", text),), Again(_EVERY_S))
        closing = observed.hurry or head.l1_block >= found.parameters_end
        taking = "no more are taken" if closing else f"more are taken until L1 block {found.parameters_end}"
        if observed.hurry:
            taking += " until reward was called, which puts it back into the pool and ends its activity in this round"
        text = (
            f"not active from round {found.round + 1} on, in {head.blocks_left_in_round} L1 blocks: winning tickets "
            f"are redeemed at once, and {taking}; to stay, call reward first, then add stake"
        )
        actions = (Action(f"close ticket parameters before round {found.round} ends"),) if closing else ()
        return Plan(actions, (_condition(Status.FALSE, "Leaving", text),), Again(_EVERY_S))

    async def apply(self, action: Action) -> None:
        """Close them; the redeemer goes on from there."""
        await self._parameters.close_parameters()
        self._changed()

    def _changed(self) -> None:
        for changed in self._told:
            changed()

    def _is_due(self, head: ChainHead, *, hurry: bool) -> bool:
        if self._looked_at is None or self._looked_at[0] != head.current_round or hurry is not self._hurried:
            return True
        since = head.l1_block - self._looked_at[1]
        return since >= _LOOK_AGAIN_BLOCKS or (since > 0 and (hurry or blocks_to_the_end(head) <= 0))


def _parameters_end(head: ChainHead, found: Departure | None, *, hurry: bool) -> BlockNumber | None:
    if found is None or not found.is_sure:
        return None
    return head.l1_block if hurry else found.parameters_end


def _next_look(head: ChainHead) -> BlockNumber:
    """The next L1 block in which the pool may have to be asked about."""
    return BlockNumber(head.l1_block + max(1, min(_LOOK_AGAIN_BLOCKS, blocks_to_the_end(head))))


def _condition(status: Status, reason: str, message: str) -> Condition:
    return Condition(ACTIVE_NEXT_ROUND, status, reason, message, gates_ready=False)
