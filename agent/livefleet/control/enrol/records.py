"""A host as the operator's side knows it."""

from dataclasses import dataclass
from enum import StrEnum

from livefleet.control.enrol.tokens import Template
from livefleet.spec.enrolment import EnrolAsk, HostReport

__all__ = ["HostRecord", "HostState"]


class HostState(StrEnum):
    """How far a host has come.

    waiting --approved, or a token--> enrolled --another key takes its name--> replaced
       '--rejected--> rejected --approved--> enrolled
    """

    WAITING = "waiting"
    ENROLLED = "enrolled"
    REJECTED = "rejected"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One key that has asked."""

    key: str  # hex of its 32 bytes
    state: HostState
    code: str
    ask: EnrolAsk  # as it asked first, without a token
    peer: str  # address that it came from
    asked_at: float  # unix seconds
    seen_at: float  # last heard of
    name: str | None = None  # in the fleet; from `enrolled` on
    template: Template | None = None  # likewise
    token_id: str | None = None  # which let it in; None: it was approved
    decided_by: str = ""  # which operator has approved or rejected it last
    enrolled_at: float | None = None
    report: HostReport | None = None
