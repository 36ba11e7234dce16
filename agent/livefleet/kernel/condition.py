"""Named conditions: what health is made of.

A part reports its own conditions on a board; liveness, readiness, /status, metrics and alerts are read from it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from livefleet.kernel.clock import Clock

__all__ = ["Condition", "ConditionBoard", "Status"]


class Status(StrEnum):
    """Whether a condition holds. FALSE is a fault; UNKNOWN means not looked yet, or could not look."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement about the node, phrased so that TRUE is healthy (`GpuPresent`, `ChainReachable`)."""

    name: str  # CamelCase, stable: alerts name it
    status: Status
    reason: str  # CamelCase word for machines
    message: str  # a sentence for people: what was found, with numbers
    subject: str = ""  # what it is about when there are several: a GPU UUID, a model id
    gates_ready: bool = True  # FALSE or UNKNOWN keeps /readyz at 503
    since: float = 0.0  # unix seconds of the last change of status; the board fills it
    advice: str = ""  # what to do about just this; empty: what is advised on the condition in general


class ConditionBoard:
    """The node's conditions, each as last reported. One event loop's property; not thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._conditions: dict[tuple[str, str], Condition] = {}
        self._listeners: list[Callable[[Condition, Condition | None], None]] = []

    def report(self, condition: Condition) -> None:
        """Take a condition as it is now. `since` is kept while the status stays the same."""
        key = (condition.name, condition.subject)
        before = self._conditions.get(key)
        unchanged = before is not None and before.status is condition.status
        since = before.since if unchanged and before is not None else self._clock.now()
        after = replace(condition, since=since)
        self._conditions[key] = after
        if before is None or (before.status, before.reason) != (after.status, after.reason):
            for listener in self._listeners:
                listener(after, before)

    def withdraw(self, name: str, subject: str = "") -> None:
        """Forget a condition whose subject is gone."""
        self._conditions.pop((name, subject), None)

    def on_change(self, listener: Callable[[Condition, Condition | None], None]) -> None:
        """Call `listener(after, before)` whenever a status or reason changes."""
        self._listeners.append(listener)

    def all(self) -> tuple[Condition, ...]:
        """Every condition, by name and subject."""
        return tuple(self._conditions[key] for key in sorted(self._conditions))

    def blocking(self) -> tuple[Condition, ...]:
        """Those that keep the node from being ready."""
        return tuple(c for c in self.all() if c.gates_ready and c.status is not Status.TRUE)

    def is_ready(self, required: Iterable[str] = ()) -> bool:
        """Whether nothing blocks and every required name has been reported."""
        names = {name for name, _ in self._conditions}
        return not self.blocking() and all(name in names for name in required)
