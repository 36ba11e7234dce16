"""The programs that a host runs for monitoring, each with its files, arguments and secrets: what deploys make so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from livefleet.monitoring.alloy import alloy_text
from livefleet.monitoring.grafana import grafana_files
from livefleet.monitoring.loki import loki_text
from livefleet.monitoring.prometheus import PUSHED_BACK_H, SecretPath, prometheus_files, push_text
from livefleet.spec import EXPORTER_PORT, CentralMonitoring, NodeSpec, PushSettings, Role

__all__ = ["FOLDER", "UNITS", "Program", "Rendered", "Source", "drop_in_path", "programs_of", "unfit"]

FOLDER: Final = "/etc/livefleet/monitor"
"""Below it each program has a folder of its own."""

UNITS: Final = {
    "prometheus": "prometheus.service",
    "alertmanager": "prometheus-alertmanager.service",
    "node-exporter": "prometheus-node-exporter.service",
    "loki": "loki.service",
    "grafana": "grafana-server.service",
    "alloy": "alloy.service",
}
"""Every program that there may be, and its unit."""

_METRICS: Final = "/var/lib/prometheus"


class Source(StrEnum):
    """Where a program's package comes from."""

    DISTRIBUTION = "distribution"
    GRAFANA_LABS = "Grafana Labs"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text that other parts make: rules, notifications, dashboards."""

    rules: str
    alertmanager: str
    alertmanager_secrets: tuple[str, ...] = ()  # names; alertmanager.yml has them at `secrets/NAME`
    dashboards: Mapping[str, str] = field(default_factory=dict)  # file name to JSON


@dataclass(frozen=True, slots=True)
class Program:
    """One program as it should be on a host."""

    name: str  # key of UNITS
    package: str
    binary: str
    source: Source
    user: str
    arguments: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)  # path below its folder to text
    secrets: Mapping[str, str] = field(default_factory=dict)  # path below its folder to the secret's name
    checks: tuple[str, ...] = ()  # shell lines run in a copy of its folder; the files are taken when all succeed
    watched: tuple[str, ...] = ()  # folders whose files it looks at by itself
    unit_lines: tuple[str, ...] = ()  # further lines of its unit's [Service]
    reloads: bool = True  # SIGHUP makes it read its files again

    @property
    def folder(self) -> str:
        """Where its files are."""
        return f"{FOLDER}/{self.name}"

    @property
    def unit(self) -> str:
        """The package's unit."""
        return UNITS[self.name]

    @property
    def drop_in_path(self) -> str:
        """Where the unit is told how to start it."""
        return drop_in_path(self.unit)

    @property
    def drop_in(self) -> str:
        """The package's own file of arguments stays as it is, and counts no more."""
        start = " ".join([self.binary, *self.arguments])
        lines = "".join(f"{line}\n" for line in self.unit_lines)
        return (
            "# Written by livefleet; `livefleet apply` puts it back.\n"
            f"[Service]\nExecStart=\nExecStart={start}\nRestart=always\nRestartSec=5\n{lines}"
        )


def drop_in_path(unit: str) -> str:
    """Where livefleet tells a unit how to start; the package's own files stay as they are."""
    return f"/etc/systemd/system/{unit}.d/60-livefleet.conf"


def programs_of(
    node: NodeSpec, central: CentralMonitoring, rendered: Rendered, host_files: SecretPath
) -> tuple[Program, ...]:
    """What runs beside the agent of `node`. `host_files`: secrets that are on the host already, by name."""
    found = []
    if node.role is Role.MONITOR:
        found += [_prometheus(node, central, rendered, host_files), _alertmanager(rendered, host_files)]
        found += [_loki(central)] if central.loki else []
        found += [_grafana(central, rendered)] if central.grafana else []
    push = node.monitoring.push
    if push is not None and push.metrics:
        found.append(_pusher(node, push, central, host_files))
    if push is not None and push.logs == "alloy":
        found.append(_alloy(node, push, host_files))
    if node.monitoring.node_exporter:
        found.append(_exporter())
    return tuple(found)


def unfit(node: NodeSpec, programs: Sequence[Program], *, systemd: bool) -> str | None:
    """Why this host cannot run them."""
    if not programs or (systemd and node.root == "/"):
        return None
    names = ", ".join(program.name for program in programs)
    return (
        f"{names} are systemd's to run, on a host with `root: /`; take `monitoring.{_setting(programs[0])}` away here"
    )


def _setting(program: Program) -> str:
    return {"node-exporter": "node_exporter", "alloy": "push.logs: alloy"}.get(program.name, "push.metrics")


def _prometheus(node: NodeSpec, central: CentralMonitoring, rendered: Rendered, host_files: SecretPath) -> Program:
    assert node.monitor is not None  # the fleet's assembly gives every monitor its hosts
    names = {host.token for host in node.monitor.hosts if host.token}
    if any(host.tls for host in node.monitor.hosts):
        names |= {central.ca or ""}
        names |= {central.client.certificate, central.client.key} if central.client is not None else set()
    paths, secrets = _secrets(names, host_files)
    takes_pushed = ("--web.enable-remote-write-receiver",) if node.monitor.listen is not None else ()
    return Program(
        "prometheus",
        "prometheus",
        "/usr/bin/prometheus",
        Source.DISTRIBUTION,
        "prometheus",
        (
            f"--config.file={FOLDER}/prometheus/prometheus.yml",
            f"--storage.tsdb.path={_METRICS}/metrics2",
            f"--storage.tsdb.retention.time={central.retention_days}d",
            f"--storage.tsdb.retention.size={central.retention_size // (1 << 20)}MB",
            "--web.listen-address=127.0.0.1:9090",
            *takes_pushed,
        ),
        prometheus_files(node.fleet, central, node, paths, rules=rendered.rules),
        secrets,
        ("promtool check config prometheus.yml",),
        watched=("targets",),
    )


def _alertmanager(rendered: Rendered, host_files: SecretPath) -> Program:
    _, secrets = _secrets(set(rendered.alertmanager_secrets), host_files)
    return Program(
        "alertmanager",
        "prometheus-alertmanager",
        "/usr/bin/prometheus-alertmanager",
        Source.DISTRIBUTION,
        "prometheus",
        (
            f"--config.file={FOLDER}/alertmanager/alertmanager.yml",
            f"--storage.path={_METRICS}/alertmanager",
            "--web.listen-address=127.0.0.1:9093",
            "--cluster.listen-address=",
        ),
        {"alertmanager.yml": rendered.alertmanager},
        secrets,
        ("amtool check-config alertmanager.yml",),
    )


def _pusher(node: NodeSpec, push: PushSettings, central: CentralMonitoring, host_files: SecretPath) -> Program:
    paths, secrets = _secrets({push.token, *([push.ca] if push.ca else [])}, host_files)
    return Program(
        "prometheus",
        "prometheus",
        "/usr/bin/prometheus",
        Source.DISTRIBUTION,
        "prometheus",
        (
            "--enable-feature=agent",
            f"--config.file={FOLDER}/prometheus/prometheus.yml",
            f"--storage.agent.path={_METRICS}/agent",
            f"--storage.agent.retention.max-time={PUSHED_BACK_H}h",
            "--web.listen-address=127.0.0.1:9090",
        ),
        {"prometheus.yml": push_text(node, push, central.scrape_every_s, paths)},
        secrets,
        ("promtool check config --agent prometheus.yml",),
    )


def _exporter() -> Program:
    return Program(
        "node-exporter",
        "prometheus-node-exporter",
        "/usr/bin/prometheus-node-exporter",
        Source.DISTRIBUTION,
        "prometheus",
        (f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}", "--web.disable-exporter-metrics", "--no-collector.wifi"),
        reloads=False,
    )


def _loki(central: CentralMonitoring) -> Program:
    return Program(
        "loki",
        "loki",
        "/usr/bin/loki",
        Source.GRAFANA_LABS,
        "loki",
        (f"-config.file={FOLDER}/loki/loki.yaml",),
        {"loki.yaml": loki_text(central)},
        checks=("loki -verify-config -config.file=loki.yaml",),
        unit_lines=("StateDirectory=loki",),
        reloads=False,
    )


def _grafana(central: CentralMonitoring, rendered: Rendered) -> Program:
    folder = f"{FOLDER}/grafana"
    return Program(
        "grafana",
        "grafana",
        "/usr/share/grafana/bin/grafana",
        Source.GRAFANA_LABS,
        "grafana",
        (
            "server",
            "--config=/etc/grafana/grafana.ini",
            "--homepath=/usr/share/grafana",
            "--packaging=deb",
            "cfg:default.paths.logs=/var/log/grafana",
            "cfg:default.paths.data=/var/lib/grafana",
            "cfg:default.paths.plugins=/var/lib/grafana/plugins",
            f"cfg:default.paths.provisioning={folder}/provisioning",
            "cfg:default.server.http_addr=127.0.0.1",
            "cfg:default.analytics.reporting_enabled=false",
        ),
        grafana_files(central, folder, dict(rendered.dashboards)),
        watched=("dashboards",),
        reloads=False,
    )


def _alloy(node: NodeSpec, push: PushSettings, host_files: SecretPath) -> Program:
    paths, secrets = _secrets({push.token, *([push.ca] if push.ca else [])}, host_files)
    folder = f"{FOLDER}/alloy"
    at = {name: path if path.startswith("/") else f"{folder}/{path}" for name, path in paths.items()}
    return Program(
        "alloy",
        "alloy",
        "/usr/bin/alloy",
        Source.GRAFANA_LABS,
        "alloy",
        (
            "run",
            "--server.http.listen-addr=127.0.0.1:12345",
            "--storage.path=/var/lib/alloy/data",
            "--disable-reporting",
            f"{folder}/config.alloy",
        ),
        {"config.alloy": alloy_text(node, push, at[push.token], None if push.ca is None else at[push.ca])},
        secrets,
        ("alloy validate config.alloy",),
        unit_lines=("SupplementaryGroups=systemd-journal adm",),
    )


def _secrets(names: set[str], host_files: SecretPath) -> tuple[SecretPath, dict[str, str]]:
    """Where each secret is for who names it in a file, and which of them are to be brought there."""
    brought = {f"secrets/{name}": name for name in sorted(names - {""}) if name not in host_files}
    return {**{name: path for path, name in brought.items()}, **host_files}, brought
