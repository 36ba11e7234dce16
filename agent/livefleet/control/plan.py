"""A plan over three states as a document: `livefleet plan` prints it, `apply --plan` reads it.

Nothing in it is a secret's content or digest, and nothing in it changes while nothing else does: no times, no rounds.
"""

import json
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from livefleet.control.events import Decided, Event, SettingChange, StepDecision
from livefleet.control.plan_hardware import HardwareFinding, hardware_findings
from livefleet.control.summary import HostResult, Outcome, Summary
from livefleet.kernel import BadInput
from livefleet.spec import Fleet

__all__ = [
    "ChainChange",
    "ChainDuty",
    "ChainPart",
    "HostChain",
    "HostPlan",
    "KeyBalance",
    "PlanDocument",
    "PlanExit",
    "host_plans",
    "load_plan",
    "make_plan",
    "save_plan",
]


class PlanExit(IntEnum):
    """What `livefleet plan` ends with. 2 means changes here, so that wrong input has a code of its own."""

    NOTHING_TO_DO = 0
    PARTLY_PLANNED = 1
    CHANGES = 2
    NOTHING_REACHED = 3
    BAD_INPUT = 4


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class HostPlan(_Part):
    """What would be done on one host."""

    host: str
    outcome: Literal["unchanged", "changes", "failed"]
    failed_step: str = ""
    """Where it failed: `connect` where it was not reached, else the step that refuses it."""

    reason: str = ""
    """Why it could not be planned."""

    advice: str = ""
    node: str = ""
    """Digest of its specification."""

    release: str = ""
    agent: str = ""
    """What the agent goes through: start, restart, reload, or nothing."""

    effects: tuple[SettingChange, ...] = ()
    steps: tuple[StepDecision, ...] = ()
    digest: str = ""
    """Another one as soon as something else would be done."""


class KeyBalance(_Part):
    """The ETH of one of a node's keys, where it is less than is declared."""

    key: str
    address: str
    balance_wei: int
    warn_below_wei: int


class ChainChange(_Part):
    """One transaction that would be sent, or proposed."""

    title: str
    to: str
    function: str
    data: str
    value: int


class ChainDuty(_Part):
    """One declared thing and how it stands."""

    topic: str
    condition: str
    state: str
    """in_step, changing, waiting or blocked"""

    reason: str
    message: str
    changes: tuple[ChainChange, ...] = ()


class HostChain(_Part):
    """What one host declares on chain, against what is there."""

    host: str
    reason: str = ""
    """Why it could not be read."""

    chain_id: int | None = None
    orchestrator: str = ""
    signed_by: Literal["node", "proposal", ""] = ""
    """Who sends the changes: the node itself, or somebody to whom it proposes them (`livefleet chain sign`)."""

    duties: tuple[ChainDuty, ...] = ()
    low_balances: tuple[KeyBalance, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the chain is not as declared, also where it takes the change later or somebody has to act first."""
        return bool(self.low_balances) or any(duty.state != "in_step" for duty in self.duties)


class ChainPart(_Part):
    """The chain's part. `asked` False: the operator did not want it looked at."""

    asked: bool = True
    hosts: tuple[HostChain, ...] = ()


class PlanDocument(_Part):
    """The whole plan, hosts in the fleet's order."""

    format: Literal["livefleet-plan"] = "livefleet-plan"
    version: Literal[1] = 1
    fleet: str
    hosts: tuple[HostPlan, ...]
    hardware: tuple[HardwareFinding, ...] = ()
    chain: ChainPart = ChainPart()

    @property
    def changes(self) -> bool:
        """Whether anything is not as declared."""
        return (
            any(host.outcome == "changes" for host in self.hosts)
            or any(finding.differs for finding in self.hardware)
            or any(host.differs for host in self.chain.hosts)
        )

    @property
    def exit_code(self) -> PlanExit:
        """A part that is missing goes before changes: nobody may take such a plan for the whole."""
        unread = [bool(host.reason) for host in self.chain.hosts]
        if all([*(host.failed_step == "connect" for host in self.hosts), *unread]):
            return PlanExit.NOTHING_REACHED
        if any([*(host.outcome == "failed" for host in self.hosts), *unread]):
            return PlanExit.PARTLY_PLANNED
        return PlanExit.CHANGES if self.changes else PlanExit.NOTHING_TO_DO


def host_plans(summary: Summary, events: Iterable[Event]) -> tuple[HostPlan, ...]:
    """Each host of a dry run."""
    decided = {event.host: event for event in events if isinstance(event, Decided)}
    return tuple(_host_plan(result, decided.get(result.host)) for result in summary.hosts)


def make_plan(fleet: Fleet, summary: Summary, events: Sequence[Event], chain: ChainPart) -> PlanDocument:
    """The document of a dry run and of what was read of the chain."""
    found: list[HardwareFinding] = []
    for event in events:
        if isinstance(event, Decided) and event.hardware is not None:
            found += hardware_findings(event.host, fleet.node(event.host), event.hardware)
    order = {name: place for place, name in enumerate(fleet.hosts)}
    found.sort(key=lambda finding: order[finding.host])  # hosts answer in any order
    return PlanDocument(fleet=fleet.name, hosts=host_plans(summary, events), hardware=tuple(found), chain=chain)


def save_plan(plan: PlanDocument, path: Path) -> None:
    """Write it beside its place and rename. Raises BadInput where that cannot be."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(json.dumps(plan.model_dump(mode="json"), indent=1) + "\n")
        new.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def load_plan(path: Path) -> PlanDocument:
    """Read what `save_plan` wrote. Raises BadInput."""
    try:
        return PlanDocument.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}; make it with `livefleet plan --out`") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        text = f"{path}: is no plan of version 1: {where}: {first['msg']}; make it with `livefleet plan --out`"
        raise BadInput(text) from error


def _host_plan(result: HostResult, decided: Decided | None) -> HostPlan:
    if result.outcome is Outcome.FAILED:
        return HostPlan(
            host=result.host,
            outcome="failed",
            failed_step=result.failed_step,
            reason=result.reason,
            advice=result.advice,
        )
    if decided is None:
        return HostPlan(host=result.host, outcome="failed", failed_step="run", reason="it told nothing of itself")
    return HostPlan(
        host=result.host,
        outcome="changes" if any(step.changes for step in decided.steps) else "unchanged",
        node=decided.node,
        release=decided.release,
        agent=decided.agent,
        effects=decided.effects,
        steps=decided.steps,
        digest=decided.digest,
    )
