"""What a bundle tells of this host's slice, or why it tells nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from livefleet.kernel import LivefleetError

__all__ = ["Published", "PullError", "PullFault"]


class PullFault(StrEnum):
    """Why a bundle gives nothing now."""

    UNREACHABLE = "Unreachable"
    WRONG_SIGNATURE = "WrongSignature"
    EXPIRED = "Expired"
    OLDER = "Older"
    NOT_LISTED = "NotListed"


class PullError(LivefleetError):
    """Nothing can be taken from the bundle; `fault` says why, and the text what to do."""

    def __init__(self, fault: PullFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def is_passing(self) -> bool:
        """Whether it may end by itself: nobody answers."""
        return self.fault is PullFault.UNREACHABLE


@dataclass(frozen=True, slots=True)
class Published:
    """The host's slice as the bundle's signed lists tell of it; nothing of it has been fetched."""

    version: int  # of the bundle; grows with each publication
    sha256: str
    length: int  # bytes
    expires: datetime  # when the bundle's lists are no longer believed, UTC
