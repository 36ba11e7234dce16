"""Whether a runner gives signs of life, looked at often. Pure."""

from dataclasses import dataclass, replace
from typing import Final

__all__ = ["PULSE_LOOK_S", "Pulse"]

PULSE_LOOK_S: Final = 0.2

_MOST_A_LOOK_S: Final = 2 * PULSE_LOOK_S
"""What one look may add to a silence: one that comes late shows that the agent itself was held up, and what the runner
said meanwhile may not have been read yet."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is known of the beats that a runner sends."""

    beats: int
    seen: float  # the last look, in seconds on the loop's clock
    silence_s: float = 0.0

    def after(self, beats: int, *, now: float) -> "Pulse":
        """After one more look."""
        if beats != self.beats:
            return Pulse(beats, now)
        return replace(self, seen=now, silence_s=self.silence_s + min(now - self.seen, _MOST_A_LOOK_S))
