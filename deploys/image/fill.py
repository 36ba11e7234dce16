"""What is done in the tree, in order: a host's own steps, with facts of an image. Pure: commands out."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from deploys.image.files import ENABLED, image_files
from deploys.image.order import Resolved, facts_of
from deploys.outcome import Command, Outcome, sh
from deploys.parcel import Parcel
from deploys.steps import (
    MAKE_USER,
    DriverService,
    agent,
    change_script,
    firewall_files,
    machine,
    put_script,
    run_script,
)
from livefleet.kernel import LivefleetError

__all__ = ["DRIVER_VERSION", "OPT", "Step", "agent_commands", "driver_commands", "system_commands"]

OPT: Final = "/opt/livefleet"
DRIVER_VERSION: Final = "/var/lib/livefleet-driver/image"
"""A file of the tree that the driver's step writes the version to; gone in the image."""

_DRIVER: Final = Path(__file__).parent.parent / "files/driver_image.sh"
_SSH_PORT: Final = 22
_NGINX_ONLY_OURS: Final = "systemctl mask --quiet nginx.service"
_NO_SERVICES: Final = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"

Step = tuple[str, Sequence[Command]]
"""Its name, and its commands."""


def driver_commands(resolved: Resolved, kernels: Sequence[str]) -> Step:
    """The driver, with its module for each of these kernels."""
    assert resolved.wish is not None
    first, *_ = kernels
    facts = facts_of(resolved.order, resolved.node, kernel=first)
    script = change_script(resolved.node.driver, facts, resolved.wish, DriverService())
    listed = f"kernels={shlex.quote(' '.join(kernels))}\n"
    return "driver", (sh([_NO_SERVICES]), run_script(f"{script}{listed}{_DRIVER.read_text()}", "image"))


def agent_commands(parcel: Parcel, resolved: Resolved, bundle: Callable[[Parcel], Path]) -> Step:
    """The agent's release, `current`, and the user that it runs as."""
    facts = facts_of(resolved.order, resolved.node)
    installed = _fine("agent", agent(parcel, OPT, facts, local=False, keep=2, bundle=bundle))
    current = [
        MAKE_USER,
        "umask 022",
        f"ln -sfn releases/{parcel.release.id} {OPT}/current",
        "mkdir -p /etc/livefleet /var/log/livefleet /var/lib/livefleet",
        "chown livefleet: /var/lib/livefleet; chmod 700 /var/lib/livefleet",
    ]
    return "agent", (*installed, sh(current))


def system_commands(resolved: Resolved) -> Step:
    """The machine's settings, the firewall as declared, and what an image alone has."""
    order = resolved.order
    facts = facts_of(order, resolved.node)
    facts = replace(facts, safety=replace(facts.safety, time_services=("systemd-timesyncd.service",)))
    has_firewall = resolved.firewall.mode == "managed"
    files = [*image_files(resolved)]
    files += firewall_files(resolved.firewall, resolved.node, (_SSH_PORT,)) if has_firewall else ()
    put, stdin = put_script(files)
    folders = sorted({file.path.rpartition("/")[0] for file in files})
    units = [*ENABLED, *(["livefleet-firewall.service"] if has_firewall else [])]
    lines = [
        f"umask 022; mkdir -p {' '.join(folders)}",
        "[ ! -d /root/.ssh ] || chmod 700 /root/.ssh",
        *put,
        "umask 022",
        _NGINX_ONLY_OURS,
        "systemctl mask --quiet systemd-firstboot.service",  # it would ask a console that nobody reads
        "systemctl disable --quiet livefleet.service 2>/dev/null || :",
        f"systemctl enable --quiet {' '.join(units)}",
        "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime",
        "passwd --quiet --lock root",
    ]
    settings = _fine("machine", machine(resolved.machine, resolved.node, facts))
    return "system", (*settings, sh(lines, stdin=stdin))


def _fine(step: str, outcome: Outcome) -> Sequence[Command]:
    if outcome.refusal is not None:
        raise LivefleetError(f"{step}: {outcome.refusal}")
    return outcome.commands
