"""Which secrets monitoring names, and what must hold between a monitor and the hosts that it knows."""

from collections.abc import Collection, Iterator, Mapping

from livefleet.spec.central import CentralMonitoring
from livefleet.spec.monitored import Reached, unseen
from livefleet.spec.node import NodeSpec
from livefleet.spec.notify import notify_secrets
from livefleet.spec.problem import did_you_mean
from livefleet.spec.profile import Trail
from livefleet.spec.roles import Role

__all__ = ["check_monitoring", "monitoring_secrets"]


def monitoring_secrets(node: NodeSpec) -> list[str | None]:
    """Names of the secrets that the node's agent uses for it."""
    return [name for _, name in _named(node)]


def check_monitoring(
    central: CentralMonitoring, hosts: Mapping[str, Reached], secrets: Collection[str]
) -> Iterator[tuple[Trail, str, str]]:
    """(path, what is wrong, what to do). Paths under `hosts` are a host's, others below the fleet's `monitoring`."""
    for trail, name in _central(central):
        if name is not None and name not in secrets:
            yield trail, f"no secret `{name}` under `secrets`", _declare(name, secrets)
    has_monitor = any(reached.node.role is Role.MONITOR for reached in hosts.values())
    for host, reached in hosts.items():
        for trail, name in _named(reached.node):
            if name is not None and name not in secrets:
                yield ("hosts", host, *trail), f"no secret `{name}` under `secrets`", _declare(name, secrets)
        yield from _door(host, reached.node, central, is_watched=has_monitor)
    for host in unseen(hosts):
        message = f"the monitor would not see `{host}`: its metrics are on loopback alone"
        hint = "give it a `monitoring.scrape` door where the monitor reaches it, else `monitoring.push`"
        yield ("hosts", host, "monitoring"), message, hint


def _door(
    host: str, node: NodeSpec, central: CentralMonitoring, *, is_watched: bool
) -> Iterator[tuple[Trail, str, str]]:
    if node.monitor is not None and node.role is not Role.MONITOR:
        yield ("hosts", host, "monitor"), f"`monitor` is for the role monitor, not for a {node.role}", "take it away"
    if node.role is Role.MONITOR and node.monitoring.push is not None and node.monitoring.push.metrics:
        hint = "write `metrics: false`, or take `push` away"
        yield ("hosts", host, "monitoring", "push"), "a monitor keeps its metrics itself and pushes none", hint
    tls = None if node.monitoring.scrape is None else node.monitoring.scrape.tls
    if tls is None or not is_watched:
        return
    if central.ca is None:
        hint = "name the secret with the certificates that it is checked by in the fleet's `monitoring.ca`"
        yield ("hosts", host, "monitoring", "scrape", "tls"), "no monitor could check this certificate", hint
    if tls.client_ca is not None and central.client is None:
        hint = "name the monitors' certificate in the fleet's `monitoring.client`"
        yield ("hosts", host, "monitoring", "scrape", "tls", "client_ca"), "no monitor has a certificate to show", hint


def _named(node: NodeSpec) -> Iterator[tuple[Trail, str | None]]:
    door, push, monitor = node.monitoring.scrape, node.monitoring.push, node.monitor
    if door is not None:
        yield ("monitoring", "scrape", "token"), door.token
        if door.tls is not None:
            for field in ("certificate", "key", "client_ca"):
                yield ("monitoring", "scrape", "tls", field), getattr(door.tls, field)
    if push is not None:
        yield ("monitoring", "push", "token"), push.token
        yield ("monitoring", "push", "ca"), push.ca
    if monitor is not None and node.role is Role.MONITOR:
        for field in ("token", "certificate", "key"):
            yield ("monitor", field), getattr(monitor, field)
        if monitor.notify is not None:
            yield from ((("monitoring", "notify"), name) for name in notify_secrets(monitor.notify))


def _central(central: CentralMonitoring) -> Iterator[tuple[Trail, str | None]]:
    yield ("ca",), central.ca
    if central.client is not None:
        yield ("client", "certificate"), central.client.certificate
        yield ("client", "key"), central.client.key
    yield from ((("notify",), name) for name in notify_secrets(central.notify))


def _declare(name: str, secrets: Collection[str]) -> str:
    return did_you_mean(name, secrets) or "declare it: `file`, `env` or `command` here, or `host_file`"
