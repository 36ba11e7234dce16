"""What an import says of each thing that it read: what became of it, and where it stands."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Outcome", "Report", "Spot"]


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in a source."""

    file: str
    line: int = 1  # from 1
    column: int = 1  # from 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Outcome(StrEnum):
    """What became of a flag, or what else there is to say."""

    TAKEN = "taken"
    OTHERWISE = "taken otherwise"
    NO_COUNTERPART = "no counterpart"
    OVERRIDDEN = "overridden"
    DEAD = "dead"
    UNKNOWN = "unknown"
    DEPRECATED = "deprecated"
    DANGEROUS = "dangerous"
    ADVICE = "advice"
    TO_DO = "to do"

    @property
    def is_fate(self) -> bool:
        """Whether it says what became of a flag; each flag has exactly one such finding."""
        return self not in (Outcome.DEPRECATED, Outcome.DANGEROUS, Outcome.ADVICE, Outcome.TO_DO)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One sentence about one thing. Holds no value of a secret."""

    spot: Spot
    outcome: Outcome
    subject: str  # `-ethUrl`, `image`, ...
    text: str
    process: str = ""  # whose it is: a unit's or service's name

    def __str__(self) -> str:
        return f"{self.spot}: {self.subject}: {self.text}"


@dataclass(frozen=True, slots=True)
class Report:
    """Every finding, by position."""

    findings: tuple[Finding, ...]

    def of(self, *outcomes: Outcome) -> tuple[Finding, ...]:
        """Those of these outcomes, by position."""
        return tuple(sorted(finding for finding in self.findings if finding.outcome in outcomes))

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each outcome, all outcomes named."""
        found = Counter(finding.outcome for finding in self.findings)
        return {outcome.value: found[outcome] for outcome in Outcome}
