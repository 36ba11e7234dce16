"""The programs of one host, from the fleet as it is declared."""

from livefleet.monitoring.dashboards import dashboards
from livefleet.monitoring.notify import alertmanager_text
from livefleet.monitoring.programs import Program, Rendered, programs_of
from livefleet.monitoring.prometheus import SecretPath
from livefleet.monitoring.rules import rules_text
from livefleet.spec import Fleet, Role, SecretToSend, node_digest

__all__ = ["fleet_programs", "program_secrets"]

_DIGITS = 12


def fleet_programs(fleet: Fleet, host: str) -> tuple[Program, ...]:
    """What is to run beside the agent of `host`."""
    node = fleet.node(host)
    rendered = _rendered(fleet) if node.role is Role.MONITOR else Rendered("", "")
    return programs_of(node, fleet.spec.monitoring, rendered, _host_files(fleet))


def program_secrets(fleet: Fleet, programs: tuple[Program, ...]) -> tuple[SecretToSend, ...]:
    """Secrets that the programs read, each with its place on the host."""
    return tuple(
        SecretToSend(f"secrets.{name}", f"{program.folder}/{path}", fleet.spec.secrets[name], fleet.path.parent)
        for program in programs
        for path, name in program.secrets.items()
    )


def _rendered(fleet: Fleet) -> Rendered:
    central = fleet.spec.monitoring
    declared = dict(_declared(fleet, host) for host in fleet.hosts)
    return Rendered(
        rules=rules_text(central.alerts, declared),
        alertmanager=alertmanager_text(central.notify, central.alerts),
        dashboards=dashboards(central.alerts.runbook_url) if central.grafana else {},
    )


def _declared(fleet: Fleet, host: str) -> tuple[str, str]:
    """The host, and the digest of what it is to run; empty in pull mode, where a bundle says that without an apply."""
    node = fleet.node(host)
    return host, "" if node.pull is not None else node_digest(node).removeprefix("sha256:")[:_DIGITS]


def _host_files(fleet: Fleet) -> SecretPath:
    return {name: ref.host_file for name, ref in fleet.spec.secrets.items() if ref.host_file is not None}
