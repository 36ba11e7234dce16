"""What first boot needs of the machine, as seams: its hardware, its agent, and a person before it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from livefleet.spec.enrol import Seed
from livefleet.spec.enrolment import EnrolAsk, Enrolled, SeenGpu, Waiting

__all__ = ["AgentService", "Finding", "Machine", "MachineFacts", "Questions", "Service"]


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The hardware."""

    gpus: tuple[SeenGpu, ...] = ()
    cores: int = 0
    memory_mib: int = 0
    problem: str = ""  # why it does not fit what the image was made for; empty: it does


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the self-test."""

    what: str
    good: bool
    message: str


class Machine(Protocol):
    """The hardware, looked at anew each time: a driver may still be loading."""

    def facts(self) -> MachineFacts:
        """What is there."""

    def address(self) -> str | None:
        """The address that others reach this host by; None without a network."""


class AgentService(Protocol):
    """The agent on this machine."""

    def name_machine(self, name: str) -> None:
        """Have the machine go by that name, if it goes by an image's. Raises OutsideWorld."""

    def check(self, node_yaml: Path) -> tuple[Finding, ...]:
        """The self-test, as the agent's own user."""

    def start(self) -> str:
        """Have it start now and at each boot; says what was done. Raises OutsideWorld."""


class Questions(Protocol):
    """A person before the machine."""

    def ask(self, known: Seed) -> Seed | None:
        """The answers of a pool worker; None where nobody is there to ask."""


class Service(Protocol):
    """The operator's service."""

    def ask(self, ask: EnrolAsk) -> Waiting | Enrolled:
        """Ask to be let in. Raises EnrolError."""
