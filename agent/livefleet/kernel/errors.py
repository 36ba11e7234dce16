"""What can go wrong, by what the caller should do about it.

LivefleetError
|- Transient      try again, after `retry_after_s`
|- Terminal       that duty stops and health shows it; somebody must act
|- Refused        goes back to the peer with the protocol's own text and status
|- BadInput       the user's file or argument is wrong (exit code 2)
`- OutsideWorld   chain, host or peer said no (exit code 3)
"""

from enum import IntEnum

__all__ = ["BadInput", "ExitCode", "LivefleetError", "OutsideWorld", "Refused", "Terminal", "Transient"]


class ExitCode(IntEnum):
    """What every command ends with."""

    DONE = 0
    PARTLY_FAILED = 1
    BAD_INPUT = 2
    OUTSIDE_SAID_NO = 3


class LivefleetError(Exception):
    """Root of every error of ours; `str()` of it is fit for an operator's eyes."""


class Transient(LivefleetError):
    """Worth another try."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Terminal(LivefleetError):
    """No retry helps until somebody changes something."""


class Refused(LivefleetError):
    """An answer to a peer. `text` is the protocol's exact wording, `status` the HTTP status it goes with."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class BadInput(LivefleetError):
    """The user's input is at fault; the message says where and what to do."""


class OutsideWorld(LivefleetError):
    """Something beyond this process did not do what was asked."""
