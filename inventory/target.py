"""One host of the fleet as deploys see it, and how pyinfra reaches it."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livefleet.monitoring import Program, fleet_programs, program_secrets
from livefleet.spec import (
    CommandOutputs,
    FirewallSettings,
    Fleet,
    HostSettings,
    MachineSettings,
    NodeSpec,
    ReleaseSettings,
    SecretToSend,
)

__all__ = ["Target", "host_data", "target_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """What deploys need of a host. Values of secrets are read when they are about to be compared, never kept here."""

    name: str
    node: NodeSpec
    local: bool
    sudo: bool
    release: ReleaseSettings
    firewall: FirewallSettings
    machine: MachineSettings
    to_send: tuple[SecretToSend, ...] = field(repr=False, default=())
    programs: tuple[Program, ...] = field(repr=False, default=())  # of monitoring
    programs_to_send: tuple[SecretToSend, ...] = field(repr=False, default=())

    def secrets(self, environ: Mapping[str, str], outputs: CommandOutputs) -> dict[str, bytes]:
        """Contents by path on the host; commands are run by `outputs`. Raises BadInput naming what is missing."""
        return {item.host_path: item.read(environ, outputs) for item in self.to_send}

    def program_secrets(self, environ: Mapping[str, str], outputs: CommandOutputs) -> dict[str, bytes]:
        """The same of secrets that the programs of monitoring read."""
        return {item.host_path: item.read(environ, outputs) for item in self.programs_to_send}

    def to_json(self) -> dict[str, Any]:
        """For `pyinfra ... debug-inventory`."""
        return {"name": self.name, "role": self.node.role.value, "root": self.node.root}


def target_of(fleet: Fleet, name: str) -> Target:
    """The host's target."""
    settings = fleet.host(name)
    programs = fleet_programs(fleet, name)
    return Target(
        name=name,
        node=fleet.node(name),
        local=settings.is_local,
        sudo=settings.ssh.sudo,
        release=settings.release,
        firewall=settings.firewall,
        machine=settings.machine,
        to_send=tuple(fleet.secrets_to_send(name)),
        programs=programs,
        programs_to_send=program_secrets(fleet, programs),
    )


def host_data(fleet: Fleet, name: str, scratch: Path) -> dict[str, Any]:
    """Pyinfra's data of one host. `scratch` takes the small ssh configuration of a host behind a jump host."""
    settings = fleet.host(name)
    data: dict[str, Any] = {"livefleet": target_of(fleet, name)}
    if settings.ssh.sudo:
        data["_sudo"] = True
    if settings.is_local:
        return data
    ssh = settings.ssh
    data |= {
        "ssh_hostname": settings.address,
        "ssh_port": ssh.port,
        "ssh_strict_host_key_checking": "accept-new",
        "ssh_paramiko_connect_kwargs": {
            "timeout": ssh.connect_timeout_s,
            "banner_timeout": ssh.connect_timeout_s,
            "auth_timeout": ssh.connect_timeout_s,
        },
    }
    known_hosts = Path(ssh.known_hosts or "~/.ssh/known_hosts").expanduser()
    known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # where a new host's key is noted
    data["ssh_known_hosts_file"] = str(known_hosts)
    if ssh.user:
        data["ssh_user"] = ssh.user
    if ssh.key:
        data["ssh_key"] = ssh.key
    if ssh.jump:
        data["ssh_config_file"] = str(_jump_config(settings, ssh.jump, scratch))
    return data


def _jump_config(settings: HostSettings, jump: str, scratch: Path) -> Path:
    """An ssh configuration with the one ProxyJump: pyinfra takes jump hosts from such a file only."""
    identity = f"  IdentityFile {settings.ssh.key}\n" if settings.ssh.key else ""
    jump_host = jump.rpartition("@")[2].partition(":")[0]
    text = f"Host {settings.address}\n  ProxyJump {jump}\n{identity}Host {jump_host}\n{identity}"
    path = scratch / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.conf"
    if not path.exists():
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.write_text(text)
        new.replace(path)
    return path
