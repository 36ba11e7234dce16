"""What this worker shows its orchestrator, which may change while it works.

A declared secret that the orchestrator does not know yet is no reason to lose work: the one before it is shown again,
and the new one tried anew from time to time.
"""

from livefleet.kernel import Clock

__all__ = ["ShownSecret"]

_TRY_AGAIN_S = 30.0


class ShownSecret:
    """The secret to show now. One event loop's."""

    def __init__(self, text: str, clock: Clock) -> None:
        self._declared = text
        self._former: str | None = None
        self._clock = clock
        self._refused_at: float | None = None  # monotonic: the declared one was not taken

    @property
    def text(self) -> str:
        """To be shown."""
        if self._former is None or self._refused_at is None:
            return self._declared
        return self._former if self._clock.monotonic() - self._refused_at < _TRY_AGAIN_S else self._declared

    def take(self, text: str) -> bool:
        """Show this one from now on; whether it is another one than was declared."""
        if text == self._declared:
            return False
        self._former, self._declared = self._declared, text
        self._refused_at = None
        return True

    def was_refused(self, text: str) -> bool:
        """The orchestrator did not take it. Whether there is another one to show it now."""
        if text != self._declared or self._former is None:
            return False
        self._refused_at = self._clock.monotonic()
        return True
