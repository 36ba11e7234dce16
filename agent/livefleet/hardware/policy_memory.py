"""What is remembered of one GPU between two looks, and over restarts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from livefleet.hardware.models import GpuSample, XidEvent
from livefleet.spec import GpuSign

__all__ = ["Counters", "GpuMemory", "Latch", "Report", "Span", "counters_of", "merged"]

_SAME_WITHIN_S: Final = 2.0
_MOST_REPORTS: Final = 256
_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Report:
    """One error report of the driver."""

    code: int
    at: float  # unix seconds
    boot: str  # the run of the kernel that it is of
    text: str = ""
    is_recalled: bool = False  # an earlier run of the agent has heard it, this one has not yet


@dataclass(frozen=True, slots=True)
class Span:
    """How long NVML has been telling a sign."""

    first: float  # unix seconds
    last: float
    text: str


@dataclass(frozen=True, slots=True)
class Latch:
    """What only a person takes back."""

    key: str  # of the sign that led to it
    since: float


@dataclass(frozen=True, slots=True)
class Counters:
    """What a reset or a load of the driver sets back. None: not told."""

    corrected: int | None = None  # memory errors
    uncorrected: int | None = None
    replays: int | None = None  # PCIe packets sent again
    advice: int | None = None  # recovery action
    is_away: bool = False  # it did not answer, or was not there
    energy_mj: int | None = None

    def fell_to(self, later: "Counters") -> bool:
        """Whether one of them is lower than it was, which nothing but a reset does, or it is back from away."""
        if later.is_away:
            return False
        pairs = (
            (self.corrected, later.corrected), (self.uncorrected, later.uncorrected), (self.replays, later.replays),
            (self.energy_mj, later.energy_mj),
        )  # fmt: skip
        is_lower = any(now is not None and before is not None and now < before for before, now in pairs)
        return self.is_away or is_lower or (bool(self.advice) and later.advice == 0)

    def then(self, later: "Counters") -> "Counters":
        """What is known after a look: what it did not tell is as before."""
        return Counters(
            corrected=self.corrected if later.corrected is None else later.corrected,
            uncorrected=self.uncorrected if later.uncorrected is None else later.uncorrected,
            replays=self.replays if later.replays is None else later.replays,
            advice=self.advice if later.advice is None else later.advice,
            is_away=later.is_away,
            energy_mj=self.energy_mj if later.energy_mj is None else later.energy_mj,
        )


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Of one GPU. The file in the state folder holds the same."""

    boot: str = ""
    reports: tuple[Report, ...] = ()  # the oldest first; of 30 days at most
    spans: Mapping[GpuSign, Span] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    settled_at: float = 0.0  # unix seconds of its last reset that was seen
    cleared_at: float = 0.0  # when a person took it back last: earlier reports count no more
    aside_since: float | None = None  # since it gets no work
    over_since: float | None = None  # since nothing is wrong with it any more, while it still gets none
    comes_and_goes: bool = False  # it is aside for something of its own, and not of the driver
    returns: tuple[float, ...] = ()  # when it came back, lately
    latch: Latch | None = None


def merged(known: Iterable[Report], events: Iterable[XidEvent], *, boot: str, after: float) -> tuple[Report, ...]:
    """All reports later than `after`, each once, the oldest first.

    What a run of the agent before this one remembered may be told again, as the kernel log is read anew from the boot.
    """
    found = {(one.code, one.at): one for one in known if one.at > after}
    recalled = [one for one in found.values() if one.is_recalled]
    for event in events:
        key = event.code, event.at
        if event.at <= after or (key in found and found[key].text == event.text[:_TEXT]):
            continue
        twin = next((one for one in recalled if _is_twin(one, event, boot)), None)
        if twin is not None:
            recalled.remove(twin)
            del found[twin.code, twin.at]
        found[key] = Report(event.code, event.at, boot, event.text[:_TEXT])
    return tuple(sorted(found.values(), key=lambda one: (one.at, one.code))[-_MOST_REPORTS:])


def _is_twin(one: Report, event: XidEvent, boot: str) -> bool:
    return (one.code, one.boot) == (event.code, boot) and abs(one.at - event.at) <= _SAME_WITHIN_S


def counters_of(sample: GpuSample | None) -> Counters:
    """What one look tells. `sample` None: it is not there."""
    if sample is None or sample.fault is not None:
        return Counters(is_away=True)
    return Counters(
        corrected=None if sample.ecc is None else sample.ecc.volatile_corrected,
        uncorrected=None if sample.ecc is None else sample.ecc.volatile_uncorrected,
        replays=None if sample.pcie is None else sample.pcie.replays,
        advice=sample.recovery_action,
        energy_mj=sample.energy_mj,
    )
