"""How a job under way is told to end. Without torch, so that both sides of a runner may know it."""

import threading
import time

from livefleet.ai.errors import Cancelled, DeadlinePassed

__all__ = ["Stop"]


class Stop:
    """Why a job should stop computing; looked at between steps."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline  # on time.monotonic
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Nobody waits any more. From any thread."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise Cancelled or DeadlinePassed if the job should end here."""
        if self._cancelled.is_set():
            raise Cancelled("the client is gone")
        if time.monotonic() > self._deadline:
            raise DeadlinePassed("Request took too long.")
