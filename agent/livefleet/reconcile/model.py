"""The words of reconciling: observe what is, compare with what is declared, act until they agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from livefleet.kernel import Condition

__all__ = ["Action", "Again", "Plan", "Resource"]


@dataclass(frozen=True, slots=True)
class Action:
    """One idempotent step towards the declared state; subclasses carry its facts."""

    summary: str  # for the log: `load model owner/name`


@dataclass(frozen=True, slots=True)
class Again:
    """When to look next, at the latest; a nudge may come sooner."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of comparing: what to do, what to say, when to look again."""

    actions: Sequence[Action]
    conditions: Sequence[Condition]
    again: Again


Observed = TypeVar("Observed")


class Resource(Protocol, Generic[Observed]):
    """One thing that is kept as declared."""

    name: str

    async def observe(self) -> Observed:
        """Read all that `plan` needs. Raises Transient when it cannot be read now."""
        ...

    def plan(self, observed: Observed) -> Plan:
        """Compare declared with observed. Pure."""
        ...

    async def apply(self, action: Action) -> None:
        """Take one step; doing it twice is harmless. Raises Transient or Terminal."""
        ...
