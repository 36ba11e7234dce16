"""Which settings a node runs, of those that were applied to it and those that it has pulled.

            fetched, may be taken          ready for a while
    (none) -----------------------> trying ------------------> good
                                      | starts twice without becoming ready, or is up and
                                      v not ready for minutes where the node was before
                                   rejected: the good ones, else the applied ones, and never these again

What is applied over ssh wins over all that was pulled before it: the later word counts. All of it is pure.
"""

from dataclasses import dataclass, field, replace
from typing import Final

__all__ = ["MOST_STARTS", "Held", "Rejected", "Standing", "at_start", "promoted", "rejected", "trying"]

MOST_STARTS: Final = 2
"""Starts that new settings have to become ready in: one may be cut off by what is not their fault."""

_MOST_REMEMBERED: Final = 20


@dataclass(frozen=True, slots=True)
class Held:
    """A slice that lies on the host."""

    version: int  # of the bundle that it came with
    sha256: str  # names its file
    applied: str  # digest of the node.yaml on top of which it was taken
    was_ready: bool = True  # the node, with what it ran before
    starts: int = 0  # that it has had and did not become ready in


@dataclass(frozen=True, slots=True)
class Rejected:
    """A slice that was tried and put back."""

    version: int
    sha256: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a node must remember of what it has pulled."""

    good: Held | None = None
    trying: Held | None = None
    rejected: tuple[Rejected, ...] = field(default=())

    def is_rejected(self, sha256: str) -> bool:
        """Whether these settings were tried before and did not come up."""
        return any(item.sha256 == sha256 for item in self.rejected)

    @property
    def held(self) -> Held | None:
        """The newest settings that are not given up."""
        return self.trying or self.good


def at_start(standing: Standing, applied: str) -> tuple[Held | None, Standing]:
    """What to start with (None: what was applied), and what to remember before it starts."""
    good = standing.good if standing.good is not None and standing.good.applied == applied else None
    new = standing.trying if standing.trying is not None and standing.trying.applied == applied else None
    standing = replace(standing, good=good, trying=new)
    if new is None:
        return good, standing
    if new.starts >= MOST_STARTS:
        return good, rejected(standing, f"it did not become ready in {MOST_STARTS} starts")
    new = replace(new, starts=new.starts + 1)
    return new, replace(standing, trying=new)


def trying(standing: Standing, held: Held) -> Standing:
    """After `held` was fetched and before it is taken over."""
    return replace(standing, trying=held)


def promoted(standing: Standing) -> Standing:
    """After what is tried has become ready and stayed so."""
    if standing.trying is None:
        return standing
    return replace(standing, good=replace(standing.trying, starts=0), trying=None)


def rejected(standing: Standing, reason: str) -> Standing:
    """After what is tried has turned out not to come up."""
    if standing.trying is None:
        return standing
    item = Rejected(standing.trying.version, standing.trying.sha256, reason)
    return replace(standing, trying=None, rejected=(*standing.rejected, item)[-_MOST_REMEMBERED:])
