"""Which of a node's secrets its agent reads again while it serves."""

from livefleet.spec.node import NodeSpec
from livefleet.spec.roles import Role

__all__ = ["live_secret_paths"]


def live_secret_paths(node: NodeSpec) -> frozenset[str]:
    """Their files, as `node.secrets` has them. A change of any other secret's content restarts the agent."""
    names: list[str | None] = []
    if node.role is Role.ORCHESTRATOR and node.orchestrator is not None:
        settings = node.orchestrator
        names.append(settings.worker_secret)
        if settings.worker_secret_before is not None:
            names.append(settings.worker_secret_before.secret)
        if settings.tls is not None:
            names += [settings.tls.certificate, settings.tls.key]
    if (door := node.monitoring.scrape) is not None:
        names.append(door.token)
    if (push := node.monitoring.push) is not None:
        names.append(push.token)
    if node.role is Role.MONITOR and node.monitor is not None:
        names.append(node.monitor.token)
    if node.role is Role.WORKER and node.worker is not None:
        names.append(node.worker.secret)
    return frozenset(node.secrets[name] for name in names if name in node.secrets)
