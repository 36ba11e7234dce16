"""How the node reports."""

import operator
from enum import StrEnum
from functools import partial
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from livefleet.spec.memory import Memory
from livefleet.spec.model import SpecModel
from livefleet.spec.network import ListenAddress

__all__ = ["Monitoring", "PushSettings", "ScrapeDoor", "ScrapeTls", "SecretPlace", "ServiceSettings"]

_LOOPBACK: Final = ("127.", "localhost:", "[::1]:")


class SecretPlace(StrEnum):
    """Where keys and secrets lie on a host."""

    STATE = "state"
    TMPFS = "tmpfs"
    CREDENTIALS = "credentials"


class ScrapeTls(SpecModel):
    """What the door for monitors shows, and asks for."""

    certificate: str
    """Name (under `secrets`) of the PEM with the node's certificate. It is for the name `monitoring.server_name` of the
    fleet, so that one certificate may serve all nodes."""

    key: str
    """Name (under `secrets`) of the PEM with its private key."""

    client_ca: str | None = None
    """Name (under `secrets`) of the PEM with the certificates that a monitor's own is checked by. None: monitors need
    no certificate, only the token."""


class ScrapeDoor(SpecModel):
    """A door for monitors: /metrics and /healthz, and nothing else that the admin address has."""

    listen: ListenAddress = "0.0.0.0:7937"
    """Address and port; of a private network where there is one."""

    token: str | None = None
    """Name (under `secrets`) of the token that monitors show. Without TLS it is seen by whoever sees the network."""

    tls: ScrapeTls | None = None
    """The certificate that it shows. None: plain HTTP."""

    @model_validator(mode="after")
    def _is_shut(self) -> "ScrapeDoor":
        asks = self.token is not None or (self.tls is not None and self.tls.client_ca is not None)
        if not asks and not self.listen.startswith(_LOOPBACK):
            raise ValueError("give `token`, or `tls.client_ca`: who reaches the door could read what the node earns")
        return self


def _monitor_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in text:
        raise ValueError("a monitor's door is at an http(s) URL without user, query or fragment")
    return text.rstrip("/")


class PushSettings(SpecModel):
    """Pushing to a monitor, for hosts that it cannot reach."""

    url: Annotated[str, AfterValidator(_monitor_url)]
    """The monitor's door (`monitor.listen` there): `https://monitor.example.com:7938`."""

    token: str
    """Name (under `secrets`) of the token that the door wants to see."""

    ca: str | None = None
    """Name (under `secrets`) of the PEM with the certificates that the door's is checked by. None: the system's."""

    metrics: bool = True
    """Push metrics, by a Prometheus in agent mode beside the agent; what the monitor misses while it is away is sent
    when it is back, four hours back. `false` for hosts that are scraped."""

    logs: Literal["agent", "alloy", "none"] = "agent"
    """Who ships the agent's lines: the `agent` by itself, Grafana `alloy` from the journal (installed from Grafana
    Labs' own package source), or nobody."""

    buffer: Memory = 64 << 20
    """Room on the disk for lines that wait for the monitor; the oldest go when it is used up, and are counted."""


class Monitoring(SpecModel):
    """Health endpoints and logs."""

    admin_listen: ListenAddress = "127.0.0.1:7936"
    """Address of /healthz, /readyz, /status and /metrics. Loopback unless central monitoring scrapes over a private
    network."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe line that is written."""

    sample_every_s: float = Field(default=1.0, gt=0)
    """How often NVML is read. A second costs a thousandth of a core with eight devices; what a driver reports by itself
    is seen sooner."""

    metrics_per_stream: bool = False
    """Tell streams and gateways apart in go-livepeer's metrics, by the labels `manifest_id` and `sender`. Each label
    has at most 100 values, the rest counts as `other`. Off by default: every value is a time series of its own."""

    scrape: ScrapeDoor | None = None
    """A door of its own for monitors elsewhere. None: metrics are at `admin_listen` alone."""

    push: PushSettings | None = None
    """Push metrics and logs to a monitor. None: nothing is pushed."""

    node_exporter: bool = Field(default=False, exclude_if=operator.not_)
    """Install Prometheus' node exporter, for disks, memory and network of the whole machine. It listens on loopback
    alone; monitors get it by the `scrape` door, or it is pushed."""


class ServiceSettings(SpecModel):
    """How the agent is kept running."""

    kind: Literal["auto", "systemd", "process"] = "auto"
    """auto: systemd where it is PID 1, else an ordinary supervised process."""

    secrets: SecretPlace = Field(default=SecretPlace.STATE, exclude_if=partial(operator.eq, SecretPlace.STATE))
    """Where keys and secrets lie on the host. `state`: files below /var/lib/livefleet, mode 0600. `tmpfs`: in memory
    below /run/livefleet; a host that reboots waits for the next apply. `credentials`: encrypted on the disk for this
    machine and opened by systemd for the agent alone; a new secret restarts the agent. deploys/SECRETS.md compares
    them."""

    stop_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds in which a stop (of an upgrade, say) empties the node: a third of it running streams go on to end by
    themselves, the rest is for what is in flight. `livefleet drain` before the stop gives them longer."""
