"""Whether to believe what price feeds say of the US dollar in wei. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from livefleet.spec import FeedSettings

__all__ = ["Doubt", "Fault", "Rate", "RateLimits", "Verdict", "judge"]

_AGREE: Final = Fraction(1, 20)  # feeds of the same pair differ by less; so do two looks at a price that really moved
_CONFIRM_AFTER_S: Final = 600.0
_AHEAD_S: Final = 3600.0  # an answer from further in the future would block every later one


@dataclass(frozen=True, slots=True)
class Rate:
    """What a US dollar is worth, as some feed said."""

    wei_per_usd: Fraction  # above zero
    updated_at: float  # unix seconds, by the chain's clock
    source: str  # the feed's address

    def age_s(self, now: float) -> float:
        """Seconds since the feed said so."""
        return max(now - self.updated_at, 0.0)

    @property
    def usd_per_eth(self) -> str:
        """The same the way people say it, to the cent."""
        cents = round(10**18 / self.wei_per_usd * 100)
        return f"{cents // 100}.{cents % 100:02}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a feed gave no rate."""

    reason: str  # a word for machines
    message: str


@dataclass(frozen=True, slots=True)
class RateLimits:
    """When a rate is not believed."""

    max_age_s: float = 90_000
    max_step: Fraction = Fraction(1, 5)  # of the smaller of two rates

    @classmethod
    def of(cls, settings: FeedSettings | None) -> "RateLimits":
        """As declared."""
        declared = settings or FeedSettings()
        return cls(max_age_s=declared.max_age_s, max_step=Fraction(declared.max_step_percent, 100))


@dataclass(frozen=True, slots=True)
class Doubt:
    """A jump that waits for somebody to confirm it."""

    rate: Rate
    since: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look came to."""

    rate: Rate | None  # to be used from now on; None: there never was one
    fault: Fault | None = None  # why it is not the first feed's answer of now
    doubt: Doubt | None = None  # to be handed to the next look


def judge(answers: Sequence[Rate | Fault], before: Verdict, *, now: float, limits: RateLimits) -> Verdict:
    """Choose the rate to use. `answers`: of the feeds asked, the first feed's first; `before`: the last look's.

    A jump is believed when two feeds see it, or when it is still there some minutes later.
    """
    checked = [_checked(answer, now, limits) for answer in answers]
    good = [answer for answer in checked if isinstance(answer, Rate)]
    first_fault = next((answer for answer in checked[:1] if isinstance(answer, Fault)), None)
    held = before.rate
    if not good:
        return replace(before, fault=first_fault or Fault("NoFeed", "none is declared; give `prices.feed.address`"))
    candidate = good[0]
    if held is None or _near(candidate, held, limits.max_step):
        return Verdict(_newest(candidate, held), first_fault)
    others = good[1:]
    if any(_near(candidate, other, _AGREE) for other in others):
        return Verdict(candidate, first_fault)
    jump = Fault(
        "Jumped",
        f"ETH jumped from {held.usd_per_eth} to {candidate.usd_per_eth} USD at {candidate.source}, more than "
        f"{int(limits.max_step * 100)} % at once",
    )
    for other in others:
        if _near(other, held, limits.max_step):
            return Verdict(_newest(other, held), jump)
    doubt = before.doubt
    if doubt is None or not _near(candidate, doubt.rate, _AGREE):
        return Verdict(held, jump, Doubt(candidate, now))
    if now - doubt.since >= _CONFIRM_AFTER_S:
        return Verdict(candidate, first_fault)
    return Verdict(held, jump, doubt)


def _checked(answer: Rate | Fault, now: float, limits: RateLimits) -> Rate | Fault:
    if isinstance(answer, Fault):
        return answer
    if answer.updated_at > now + _AHEAD_S:
        return Fault(
            "FromTheFuture", f"{answer.source} answered {answer.updated_at - now:.0f} s from now; check the clock"
        )
    if answer.age_s(now) > limits.max_age_s:
        return Fault("Stale", f"{answer.source} last answered {answer.age_s(now) / 3600:.1f} h ago")
    return answer


def _near(one: Rate, other: Rate, step: Fraction) -> bool:
    low, high = sorted((one.wei_per_usd, other.wei_per_usd))
    return high <= low * (1 + step)


def _newest(candidate: Rate, held: Rate | None) -> Rate:
    """Endpoints differ in how far they are: an older answer does not replace a newer one."""
    return held if held is not None and held.updated_at > candidate.updated_at else candidate
