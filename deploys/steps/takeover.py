"""What the running agent has to go through for what is declared: nothing, a reload, a restart, a start.

A reload is chosen only where it is known what the agent runs with: the stamp in `<opt>/started` is that of the release
and the files which are on the host now. Then the node.yaml of the host says what the agent has taken over so far, and
`livefleet.spec.effects` says whether a running agent can take over the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from deploys.facts import Observed
from deploys.steps.files import HostFile, changed_files
from deploys.steps.stamp import stamp_found
from livefleet.kernel import BadInput
from livefleet.spec import Effects, NodeSpec, Takeover, effects, live_secret_paths, parse_node

__all__ = ["AgentAction", "AgentChange", "agent_change", "lasting"]


class AgentAction(StrEnum):
    """What the agent goes through."""

    NOTHING = ""
    START = "start"
    RESTART = "restart"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class AgentChange:
    """What the agent goes through, and why."""

    action: AgentAction = AgentAction.NOTHING
    effects: Effects = field(default_factory=Effects)  # of the settings that changed
    reasons: tuple[str, ...] = ()  # of a restart, beside settings


def agent_change(
    node: NodeSpec, release_id: str, files: Sequence[HostFile], stamp: str, facts: Observed
) -> AgentChange:
    """Pure. `stamp` is made of the `lasting` ones among `files`; node.yaml is one of them.

    Secrets that a running agent reads again are no reason for more than a reload.
    """
    before = _node_before(node, facts)
    changed = Effects() if before is None else effects(before, node)
    if not facts.active:
        return AgentChange(AgentAction.START, changed)
    kept = lasting(node, files)
    if facts.started == stamp:
        reread = changed_files([file for file in files if file not in kept], facts)
        return AgentChange(AgentAction.RELOAD if reread else AgentAction.NOTHING, changed)
    reasons = tuple(_reasons(node, release_id, kept, facts))
    if before is None and not reasons:
        reasons = ("what its node.yaml said is not known",)
    if reasons or changed.takeover is Takeover.RESTART:
        return AgentChange(AgentAction.RESTART, changed, reasons)
    return AgentChange(AgentAction.RELOAD, changed)


def lasting(node: NodeSpec, files: Sequence[HostFile]) -> tuple[HostFile, ...]:
    """Those that the agent reads once, at its start: all but the secrets that are rotated under it."""
    read_again = {str(node.paths.resolve(path)) for path in live_secret_paths(node)}
    return tuple(file for file in files if file.path not in read_again)


def _reasons(node: NodeSpec, release_id: str, files: Sequence[HostFile], facts: Observed) -> list[str]:
    """Everything but settings that only a new process takes over."""
    if absent := [f"{file.path} is new" for file in files if file.path not in facts.files]:
        return absent
    if facts.started != stamp_found(facts, files):
        return ["it is not known to run what is on the host"]
    reasons = []
    if facts.current != release_id:
        reasons.append(f"release {facts.current} -> {release_id}")
    for file in files:
        found = facts.files.get(file.path)
        if file.path != str(node.paths.node_yaml) and (found is None or found.sha256 != file.sha256):
            reasons.append(f"{file.path} changed")
    return reasons


def _node_before(node: NodeSpec, facts: Observed) -> NodeSpec | None:
    """What the host's node.yaml says; None where there is none, or it is of another version of this program."""
    found = facts.files.get(str(node.paths.node_yaml))
    if found is None or found.text is None:
        return None
    try:
        return parse_node(found.text, str(node.paths.node_yaml))
    except BadInput:
        return None
