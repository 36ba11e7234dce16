"""How the node reports."""

import operator
from enum import StrEnum
from functools import partial
from typing import Literal

from pydantic import Field

from livefleet.spec.model import SpecModel
from livefleet.spec.network import ListenAddress

__all__ = ["Monitoring", "SecretPlace", "ServiceSettings"]


class SecretPlace(StrEnum):
    """Where keys and secrets lie on a host."""

    STATE = "state"
    TMPFS = "tmpfs"
    CREDENTIALS = "credentials"


class Monitoring(SpecModel):
    """Health endpoints and logs."""

    admin_listen: ListenAddress = "127.0.0.1:7936"
    """Address of /healthz, /readyz, /status and /metrics. Loopback unless central monitoring scrapes over a private
    network."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe line that is written."""

    sample_every_s: float = Field(default=5.0, gt=0)
    """How often NVML is read."""

    metrics_per_stream: bool = False
    """Tell streams and gateways apart in go-livepeer's metrics, by the labels `manifest_id` and `sender`. Each label
    has at most 100 values, the rest counts as `other`. Off by default: every value is a time series of its own."""


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
