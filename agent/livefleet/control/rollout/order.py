"""Who comes before whom, and who stands in for whom. Pure.

Whoever is asked goes before whoever asks: a new version must understand the old one's requests, and need not be
understood by an old one. So redeemers and keykeepers come before orchestrators, and orchestrators before their
workers; Kubernetes orders servers and nodes in the same way. Orchestrators that are not the registered one come before
it: they show what is wrong while the address that gateways know still serves.
"""

from collections import Counter
from dataclasses import dataclass

from livefleet.spec import Fleet, NodeSpec, Role

__all__ = ["Member", "members_of"]

_TIER = {Role.MONITOR: 0, Role.REDEEMER: 1, Role.KEYKEEPER: 1, Role.ORCHESTRATOR: 3, Role.WORKER: 4}
_STANDBY_TIER = 2


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the fleet, as far as the order goes."""

    name: str
    role: Role
    tier: int  # lower ones first
    pool: str  # those that stand in for one another
    groups: tuple[str, ...] = ()


def members_of(fleet: Fleet) -> tuple[Member, ...]:
    """All hosts, in the fleet's order."""
    identities = Counter(_identity(fleet.node(name)) for name in fleet.hosts)
    return tuple(_member(fleet, name, identities) for name in fleet.hosts)


def _member(fleet: Fleet, name: str, identities: Counter[str]) -> Member:
    node = fleet.node(name)
    shared = identities[_identity(node)] > 1
    standby = node.role is Role.ORCHESTRATOR and shared and node.on_chain is None
    tier = _STANDBY_TIER if standby else _TIER[node.role]
    return Member(name, node.role, tier, _pool(node), fleet.host(name).groups)


def _identity(node: NodeSpec) -> str:
    """Equal for orchestrators that are paid as one."""
    if node.orchestrator is None:
        return f"host {node.name}"
    return f"orchestrator {node.orchestrator.recipient or node.orchestrator.key or node.name}"


def _pool(node: NodeSpec) -> str:
    if node.worker is not None:
        return f"workers of {node.worker.orchestrator}"
    return f"{node.role.value}s"
