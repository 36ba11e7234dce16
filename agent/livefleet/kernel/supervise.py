"""Long-running duties in one task group: restarted with backoff, stopped by cancellation."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from livefleet.kernel.errors import Terminal, Transient

__all__ = ["Backoff", "run_duty"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Backoff:
    """Exponential waits with jitter: first, first*factor, ... up to cap, each times 1 +- jitter."""

    first_s: float = 0.5
    factor: float = 1.5
    cap_s: float = 60.0
    jitter: float = 0.5
    _next_s: float = 0.0

    def next(self, rng: random.Random) -> float:
        """The next wait in seconds."""
        base = self._next_s or self.first_s
        self._next_s = min(base * self.factor, self.cap_s)
        return base * (1 + self.jitter * (2 * rng.random() - 1))

    def reset(self) -> None:
        """Start over after success."""
        self._next_s = 0.0


async def run_duty(
    name: str,
    duty: Callable[[], Awaitable[None]],
    *,
    on_failure: Callable[[BaseException], None],
    backoff: Backoff | None = None,
    rng: random.Random | None = None,
) -> None:
    """Run `duty` until it returns, is cancelled or raises Terminal; anything else restarts it after a wait.

    `on_failure` hears each failure first (to raise a condition). This is the one place where a broad except stands.
    """
    waits = backoff or Backoff()
    dice = rng or random.Random()
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await duty()
            return
        except Terminal as error:
            log.error("duty.stopped", extra={"duty": name, "error": str(error)})  # noqa: TRY400 -- the message says it all
            on_failure(error)
            return
        except Exception as error:
            if loop.time() - started > waits.cap_s:
                waits.reset()
            wait_s = waits.next(dice)
            if isinstance(error, Transient) and error.retry_after_s is not None:
                wait_s = error.retry_after_s
            log.warning(
                "duty.failed",
                extra={"duty": name, "error": f"{type(error).__name__}: {error}", "retry_in_s": round(wait_s, 2)},
                exc_info=not isinstance(error, Transient),
            )
            on_failure(error)
            await asyncio.sleep(wait_s)
