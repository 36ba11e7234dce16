"""What one endpoint is worth: how fast, how often in vain, how far behind, whether it rests. No clock of its own."""

import math
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["EndpointState", "Score"]

_FIRST_REST_S = 5.0
_LONGEST_REST_S = 300.0
_LONGEST_WISH_S = 900.0  # of a Retry-After
_QUICK_S = 0.2  # answers below it are all as good
_FAILURE_COSTS_S = 1.0  # what a call loses by going on to another endpoint
_HALF_FORGOTTEN_S = 120.0  # after which a failure counts for half
_LATENCY_WEIGHT = 0.3
_ERROR_WEIGHT = 0.15
_PATIENCE_S = (0.75, 3.0)
_PATIENCE_UNKNOWN_S = 2.0
_PATIENCE_FACTOR = 4.0
_LACKING_S = 2.0  # how long a block that was not there is taken to be not there


class EndpointState(IntEnum):
    """In the order in which endpoints are asked."""

    HEALTHY = 0
    RECOVERING = 1  # its rest is over and nothing was heard of it since
    RESTING = 2


@dataclass(slots=True)
class Score:
    """Times are seconds of one monotonic clock, handed in by whoever keeps the score."""

    latency_s: float | None = None  # of late; None before the first answer
    head: int = -1  # the highest block that it has shown
    is_behind: bool = False  # its head was too far below the best when both were asked
    why: str = ""  # it rests, or rested last
    resting_until: float = 0.0
    rests: int = 0  # in a row
    _errors: float = 0.0  # share of calls in vain of late, at `_errors_at`
    _errors_at: float = 0.0
    _lacks: int = 0
    _lacks_until: float = 0.0

    def answered(self, elapsed_s: float, now: float) -> None:
        """It gave an answer, whatever the answer says."""
        old = elapsed_s if self.latency_s is None else self.latency_s
        self.latency_s = old + _LATENCY_WEIGHT * (elapsed_s - old)
        self._errors, self._errors_at = self.error_rate(now) * (1 - _ERROR_WEIGHT), now
        self.rests, self.resting_until = 0, 0.0

    def failed(self, why: str, now: float, retry_after_s: float | None = None) -> None:
        """It was asked in vain: it rests, longer each time, or as long as it wishes."""
        before = self.error_rate(now)
        self._errors, self._errors_at = before + _ERROR_WEIGHT * (1 - before), now
        if self.resting_until <= now:  # several calls that fail at once are one failure
            self.rests += 1
        rest_s = min(_FIRST_REST_S * 2 ** (self.rests - 1), _LONGEST_REST_S)
        if retry_after_s is not None:
            rest_s = min(max(retry_after_s, 1.0), _LONGEST_WISH_S)
        self.why = why
        self.resting_until = max(self.resting_until, now + rest_s)

    def saw(self, block: int) -> None:
        """It has shown this block."""
        self.head = max(self.head, block)

    def lacks(self, block: int, now: float) -> None:
        """It does not have this block at the moment."""
        self.head = min(self.head, block - 1)
        self._lacks, self._lacks_until = block, now + _LACKING_S

    def may_have(self, block: int, now: float) -> int:
        """0: it has shown that block; 1: nobody knows; 2: it said just now that it has not."""
        if self.head >= block:
            return 0
        return 2 if now < self._lacks_until and block >= self._lacks else 1

    def state(self, now: float) -> EndpointState:
        """Whether it is left alone."""
        if self.rests == 0:
            return EndpointState.HEALTHY
        return EndpointState.RESTING if now < self.resting_until else EndpointState.RECOVERING

    def error_rate(self, now: float) -> float:
        """Share of calls that were in vain of late, 0 to 1."""
        return float(self._errors * 0.5 ** ((now - self._errors_at) / _HALF_FORGOTTEN_S))

    def grade(self, now: float) -> int:
        """What a call to it costs, in doublings: twice as dear is one more. 0 for all that are quick and reliable."""
        expected = (self.latency_s or 0.0) + self.error_rate(now) * _FAILURE_COSTS_S
        return max(0, math.floor(math.log2(expected / _QUICK_S)) + 1) if expected > _QUICK_S else 0

    def patience_s(self) -> float:
        """How long its answer is waited for before another is asked as well."""
        if self.latency_s is None:
            return _PATIENCE_UNKNOWN_S
        least, most = _PATIENCE_S
        return min(max(self.latency_s * _PATIENCE_FACTOR, least), most)
