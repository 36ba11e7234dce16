"""Central monitoring: what the hosts with the role `monitor` run, and the doors by which metrics and logs come in."""

import operator
from functools import partial

from pydantic import Field, field_validator, model_validator

from livefleet.spec.alerts import AlertSettings
from livefleet.spec.memory import Memory
from livefleet.spec.model import SpecModel
from livefleet.spec.network import ListenAddress
from livefleet.spec.notify import NotifySettings

__all__ = ["CentralMonitoring", "MonitorLayer", "MonitorSettings", "MonitoredHost", "ScrapeClient"]


class ScrapeClient(SpecModel):
    """The certificate that monitors show to nodes which ask for one (`monitoring.scrape.tls.client_ca`)."""

    certificate: str
    """Name (under `secrets`) of the PEM with the certificate."""

    key: str
    """Name (under `secrets`) of the PEM with its private key."""


class CentralMonitoring(SpecModel):
    """What hosts with the role `monitor` run. Without such a host none of it is used."""

    scrape_every_s: int = Field(default=15, ge=1, le=300)
    """How often each node's metrics are read; half of it is the time that a reading may take, 10 s at most."""

    retention_days: int = Field(default=30, ge=1, le=3650)
    """How long samples and logs are kept."""

    retention_size: Memory = 20 << 30
    """Room on the disk for Prometheus' samples: the oldest go when it is used up, whatever `retention_days` says."""

    ca: str | None = None
    """Name (under `secrets`) of the PEM with the certificates that nodes' own (`monitoring.scrape.tls`) are checked by.
    Required where a node has one."""

    server_name: str = Field(default="livefleet-node", min_length=1, pattern=r"^\S+$")
    """The name that nodes' certificates are for: one certificate may serve all of them."""

    client: ScrapeClient | None = None
    """The certificate that monitors show to nodes. None: tokens alone."""

    grafana: bool = False
    """Install Grafana from Grafana Labs' own package source, with data sources and dashboards."""

    loki: bool = False
    """Install Loki likewise. Debian's package of that name is another program."""

    alerts: AlertSettings = AlertSettings()
    """From when on something is told to people."""

    notify: NotifySettings = NotifySettings()
    """Who is told, and when."""


class MonitorLayer(SpecModel):
    """The door of a monitor for hosts that push, as far as one layer says."""

    listen: ListenAddress | None = None
    """Address and port where hosts that cannot be reached push metrics and logs to. None: nobody pushes."""

    token: str | None = None
    """Name (under `secrets`) of the token that they show. It only lets in, it lets nobody read."""

    certificate: str | None = None
    """Name (under `secrets`) of the PEM with the door's certificate and those between it and its root. None: the door
    speaks plain HTTP, for a private network or a tunnel."""

    key: str | None = None
    """Name (under `secrets`) of the PEM with its private key."""


class MonitoredHost(SpecModel):
    """A host as its monitor knows it."""

    name: str
    """Its name in the fleet."""

    role: str
    """Its role."""

    address: str = ""
    """`host:port` of its metrics. Empty: it pushes."""

    tls: bool = False
    """Whether TLS is spoken there."""

    token: str = ""
    """Name (under `secrets`) of the token that it wants to see. Empty: none."""

    pulls: bool = Field(default=False, exclude_if=operator.not_)
    """It is in pull mode: apply need not know of it, so the monitor's agent tells Prometheus of it."""

    exporter: str = Field(default="", exclude_if=partial(operator.eq, ""))
    """`host:port` of its node exporter; the same as `address` where the door has it. Empty: none, or it pushes."""


class MonitorSettings(MonitorLayer):
    """The door of a monitor for hosts that push, and the hosts that it knows."""

    hosts: tuple[MonitoredHost, ...] = ()
    """Every host of the fleet. Made from the fleet file, never written in it."""

    loki: bool = Field(default=False, exclude_if=operator.not_)
    """Whether Loki is to be here, likewise."""

    notify: NotifySettings | None = None
    """Who is told, likewise. None: nobody."""

    @field_validator("hosts")
    @classmethod
    def _each_once(cls, hosts: tuple[MonitoredHost, ...]) -> tuple[MonitoredHost, ...]:
        if len({host.name for host in hosts}) < len(hosts):
            raise ValueError("a host is listed twice")
        return hosts

    @model_validator(mode="after")
    def _door_is_shut(self) -> "MonitorSettings":
        if self.listen is not None and self.token is None:
            raise ValueError("`monitor.listen` needs `monitor.token`: whoever reaches the door could write metrics")
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("give both `monitor.certificate` and `monitor.key`, or none")
        return self
