"""The words of the policy: what a fault leads to, and when it is over."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from livefleet.spec import GpuAction, GpuSign

__all__ = ["DAMPING", "Damping", "Ends", "Facet", "GpuState", "Later", "RecoveryRow", "Repeated", "SignRow", "XidRow"]


class GpuState(StrEnum):
    """How a GPU is, by what it takes to have it back; each is worse than the one before."""

    HEALTHY = "healthy"
    WATCH = "watch"  # works; somebody should look
    DRAIN = "drain"  # no work until the fault is over
    RESET = "reset"  # no work until it was reset
    REBOOT = "reboot"  # no work until the host was rebooted
    QUARANTINE = "quarantine"  # no work until a person takes it back
    REPLACE = "replace"  # the same, and it will not get better

    @property
    def rank(self) -> int:
        """0 for healthy, and up."""
        return _ORDER.index(self)

    @property
    def is_aside(self) -> bool:
        """Whether it gets no work."""
        return self.rank >= GpuState.DRAIN.rank

    @property
    def is_dead(self) -> bool:
        """Whether what is open there cannot go on either: it will fail, or cannot be trusted."""
        return self.rank >= GpuState.RESET.rank

    @classmethod
    def of(cls, action: GpuAction) -> "GpuState":
        """What an action of the spec comes to."""
        return _OF_ACTION[action]


_ORDER: Final = tuple(GpuState)
_OF_ACTION: Final = {
    GpuAction.IGNORE: GpuState.HEALTHY,
    GpuAction.OBSERVE: GpuState.WATCH,
    GpuAction.DRAIN: GpuState.DRAIN,
    GpuAction.RESET: GpuState.RESET,
    GpuAction.REBOOT: GpuState.REBOOT,
    GpuAction.QUARANTINE: GpuState.QUARANTINE,
    GpuAction.REPLACE: GpuState.REPLACE,
}


class Ends(StrEnum):
    """When a fault is over."""

    GONE = "gone"  # as soon as NVML tells it no more
    QUIET = "quiet"  # half an hour after the last report
    RESET = "reset"  # the GPU was reset, its driver loaded anew, or the host rebooted
    REBOOT = "reboot"
    PERSON = "person"  # somebody takes the GPU back


class Facet(StrEnum):
    """The condition that tells of it, by the GPU's UUID, while it is FALSE."""

    ANSWERING = "GpuAnswering"
    MEMORY = "GpuMemorySound"
    LINK = "GpuLinkSound"
    ENGINES = "GpuEnginesSound"
    FIRMWARE = "GpuFirmwareSound"
    APPLICATIONS = "GpuApplicationsSound"
    COOL = "GpuCool"
    POWER = "GpuPowered"
    CARD = "GpuCardFits"
    STEADY = "GpuSteady"


@dataclass(frozen=True, slots=True)
class Repeated:
    """What so many reports within a time lead to instead; resets in between do not matter."""

    count: int
    within_s: float
    state: GpuState
    advice: str


@dataclass(frozen=True, slots=True)
class Later:
    """What a sign leads to once it has stood for so long."""

    after_s: float
    state: GpuState


@dataclass(frozen=True, slots=True)
class XidRow:
    """Error reports of one kind."""

    codes: tuple[int, ...]
    reason: str  # CamelCase
    meaning: str
    facet: Facet
    state: GpuState
    ends: Ends
    advice: str
    repeated: Repeated | None = None
    source: str = "NVIDIA's Xid catalogue; the action is this table's"


@dataclass(frozen=True, slots=True)
class SignRow:
    """One thing that NVML tells."""

    sign: GpuSign
    reason: str  # CamelCase
    meaning: str
    facet: Facet
    state: GpuState
    advice: str
    after_s: float = 0.0  # it has to stand for so long
    gap_s: float = 0.0  # and may be away for so long in between
    later: Later | None = None
    is_of_node: bool = False  # it is about the driver, and so about all GPUs alike
    source: str = "NVML"


@dataclass(frozen=True, slots=True)
class RecoveryRow:
    """The driver's own advice, NVML's field 230."""

    action: int
    reason: str
    meaning: str
    state: GpuState
    advice: str


@dataclass(frozen=True, slots=True)
class Damping:
    """How one that comes and goes is kept from taking its sessions back and forth."""

    window_s: float = 21_600.0  # in which returns are counted
    factor: float = 2.0  # by which each return lengthens the next hold
    cap_s: float = 3600.0

    def hold_s(self, first_s: float, returns: int) -> float:
        """How long it stays without work after its fault is over."""
        return min(first_s * self.factor ** min(returns, 32), max(self.cap_s, first_s))


DAMPING: Final = Damping()
