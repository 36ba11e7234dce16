"""Where the orchestrator stands in the pool, with a warning before it falls out."""

from livefleet.chain import ChainClient, Standing, read_standing
from livefleet.kernel import Address, Condition, Status
from livefleet.ledger import coins
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["ActiveSetResource"]


class ActiveSetResource:
    """Looks at the pool as it stands for the next round. Members seen once are guessed again, to save round trips."""

    name = "active-set"

    def __init__(self, client: ChainClient, orchestrator: Address, *, margin_percent: int, every_s: float) -> None:
        self._client = client
        self._orchestrator = orchestrator
        self._margin_percent = margin_percent
        self._every_s = every_s
        self.standing: Standing | None = None
        """As last seen; for reading only."""

    async def observe(self) -> Standing:
        """The pool now."""
        guess = self.standing.members if self.standing is not None else ()
        self.standing = await read_standing(self._client, self._orchestrator, guess=guess)
        return self.standing

    def plan(self, observed: Standing) -> Plan:
        """Say whether the place is safe."""
        return Plan((), (_condition(observed, self._margin_percent),), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""


def _condition(seen: Standing, margin_percent: int) -> Condition:
    if seen.rank is None:
        way = (
            f"{coins(seen.missing)} LPT are missing to the last place"
            if seen.missing
            else "there is room: it joins when its stake changes or its cuts are set again"
        )
        return _told(Status.FALSE, "NotInPool", f"not in the pool for the next round; {way}")
    place = f"rank {seen.rank} of {seen.size}, room for {seen.max_size}"
    if seen.margin is None:
        return _told(Status.TRUE, "InPool", place)
    text = f"{place}; {coins(seen.margin)} LPT above the cut-off, {seen.places_below} member(s) fall out before"
    if seen.is_close(margin_percent):
        return _told(Status.FALSE, "CloseToCutOff", f"{text}; add stake, and redeem what is due before it happens")
    return _told(Status.TRUE, "InPool", text)


def _told(status: Status, reason: str, message: str) -> Condition:
    return Condition("ActiveSet", status, reason, message, gates_ready=False)
