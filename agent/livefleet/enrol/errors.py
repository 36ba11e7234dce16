"""Why a host cannot enrol just now.

LivefleetError
`- EnrolError     `fault` says why, the text what to do, `is_passing` whether waiting may help by itself
"""

from enum import StrEnum

from livefleet.kernel import LivefleetError
from livefleet.spec.enrolment import EnrolFault

__all__ = ["EnrolError", "HostFault"]


class HostFault(StrEnum):
    """What a host finds on its own side of the connection."""

    NO_NAME = "NoName"  # the service's name is not found: mostly there is no network yet
    NO_ANSWER = "NoAnswer"
    PIN_MISMATCH = "PinMismatch"  # somebody else answers, or the service has a new key
    NOT_TRUSTED = "NotTrusted"  # by the declared authorities
    CLOCK_WRONG = "ClockWrong"  # the certificate's dates say so
    NOT_THE_SERVICE = "NotTheService"  # an answer that is none of the protocol's
    WRONG_HARDWARE = "WrongHardware"
    WRONG_ANSWER = "WrongAnswer"  # settings that this host cannot take

    @property
    def is_passing(self) -> bool:
        """Whether it may end by itself."""
        return self is not HostFault.WRONG_ANSWER


class EnrolError(LivefleetError):
    """The host is not enrolled yet."""

    def __init__(self, fault: HostFault | EnrolFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def is_passing(self) -> bool:
        """Whether waiting may help without anybody doing something at this host."""
        return self.fault.is_passing
