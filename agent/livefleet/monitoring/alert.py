"""One alert as data: when it fires, and what people are told."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["AlertRule", "Look", "Severity", "Topic"]


class Severity(StrEnum):
    """What is expected of people. Alertmanager routes by it."""

    CRITICAL = "critical"
    """Now, at any hour: money or service is being lost."""

    WARNING = "warning"
    """Today; quiet hours hold it back."""

    INFO = "info"
    """For a decision in days; quiet hours hold it back."""

    HEARTBEAT = "heartbeat"
    """Always fires; its absence is the alarm."""


class Topic(StrEnum):
    """What a rule is about; a group of rules in Prometheus and a part of the runbook."""

    HOSTS = "hosts"
    HARDWARE = "hardware"
    WORK = "work"
    MONEY = "money"
    CHAIN = "chain"
    MONITORING = "monitoring"


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at. HOST stands for the host's name."""

    command: str
    shows: str


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule, its text for people, and its section in the runbook: one source for all three."""

    name: str  # CamelCase, stable: routes, silences and links name it
    topic: Topic
    severity: Severity
    expr: str  # PromQL; a series for each thing that is unwell, none while all is well
    for_s: float  # how long it has to be so
    summary: str  # one line; `{{ $labels.node }}` and the like are filled in
    means: str  # what is wrong and what it costs; the alert's description
    advice: str  # what to do first; the same words in the alert, in the runbook and on the terminal
    look: tuple[Look, ...]
    clears: str  # when it ends
    conditions: tuple[str, ...] = ()  # the agent's conditions that it speaks for
    held_by: tuple[str, ...] = ()  # alerts that explain this one: it is not sent while they fire
    held_on: tuple[str, ...] = ("node",)  # labels that both have alike

    @property
    def anchor(self) -> str:
        """Of its section in the runbook, as renderers of Markdown make it from the heading."""
        return self.name.lower()
