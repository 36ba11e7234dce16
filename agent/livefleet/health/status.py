"""What the node says about itself, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livefleet.kernel import Condition

__all__ = ["NodeStatus"]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One moment of the node: identity, conditions, and a JSON-ready part for each service."""

    version: str
    fleet: str
    name: str
    role: str
    network: str
    digest: str  # sha256 of the node spec that runs
    release: str  # folder name of the release, or `checkout`
    started_at: float  # unix seconds
    ready: bool
    blocking: tuple[Condition, ...]
    conditions: tuple[Condition, ...]
    parts: Mapping[str, Any]
