"""Is this a host that can be brought up, and how will the agent be kept running there?"""

from enum import StrEnum

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse
from deploys.parcel import Room
from deploys.steps.driver_problems import driver_problems
from deploys.steps.torch import choose_torch
from livefleet.spec import NodeSpec

__all__ = ["LONGEST_SOCKET_FOLDER", "ServiceKind", "choose_service", "preflight"]

OLDEST_PYTHON = (3, 11)
_MIB = 1 << 20
MACHINES = ("x86_64", "aarch64")
SPARE_MIB = 256  # for logs, the store and what a switch writes, besides the release
CLOCK_WARN_S, CLOCK_REFUSE_S = 10, 300
GO_LIVEPEER = "livepeer"  # the program's name
LONGEST_SOCKET_FOLDER = 80  # a unix socket's path has 108 bytes, and names come after the folder


class ServiceKind(StrEnum):
    """How the agent is kept running."""

    SYSTEMD = "systemd"
    PROCESS = "process"


def choose_service(node: NodeSpec, facts: Observed) -> ServiceKind:
    """Systemd where it is PID 1 and the node has the whole machine; else an ordinary supervised process."""
    if node.service.kind == "process" or node.root != "/" or not facts.systemd:
        return ServiceKind.PROCESS
    return ServiceKind.SYSTEMD


def preflight(
    node: NodeSpec, facts: Observed | None, *, now: float, sudo: bool, room: Room | None, local: bool = False
) -> Outcome:
    """Every reason that keeps this host from being brought up, all at once.

    `room`: what its release takes on the way; None where it is there. `local`: the host is the machine that the deploy
    runs on.
    """
    if facts is None:
        return refuse(_no_facts(sudo=sudo))
    torch = choose_torch(node, facts)
    problems = [*_rights(node, facts), *_machine(node, facts), *_room(facts, room), *_clock(facts, now)]
    problems += [*_ports(node, facts), *driver_problems(node, facts, local=local)]
    problems += [torch.refusal] if torch and torch.refusal else []
    if problems:
        return refuse("; ".join(problems))
    skew = facts.clock - now
    notes = [f"{facts.os_id} {facts.os_version}, {facts.machine}, Python {'.'.join(map(str, facts.python)) or 'none'}"]
    if torch is not None:
        notes += [f"PyTorch for {torch.build.name}", *([torch.warning] if torch.warning else [])]
    if abs(skew) > CLOCK_WARN_S:
        notes.append(f"the clock is {skew:+.0f} s off this machine's; tickets and TLS want it right: enable NTP")
    return Outcome(notes=tuple(notes))


def _no_facts(*, sudo: bool) -> str:
    if sudo:
        return (
            "commands do not run as root: sudo must work without a password for the ssh user"
            " (in /etc/sudoers.d/: `USER ALL=(ALL) NOPASSWD: ALL`)"
        )
    return "the host did not run a shell command to its end; try `ssh` to it with the same user and key"


def _rights(node: NodeSpec, facts: Observed) -> list[str]:
    if node.root == "/" and facts.uid != 0:
        return [f"user {facts.user} is not root: set `ssh: {{sudo: true}}` or `user: root`, or give the host a `root:`"]
    if node.service.kind == "systemd" and node.root != "/":
        return ["`service: {kind: systemd}` needs `root: /`"]
    if node.service.kind == "systemd" and not facts.systemd:
        return ["`service: {kind: systemd}`, but systemd is not PID 1 here; use `kind: auto`"]
    return []


def _machine(node: NodeSpec, facts: Observed) -> list[str]:
    problems = []
    if facts.machine not in MACHINES:
        problems.append(f"machine {facts.machine} is not supported ({' or '.join(MACHINES)} is)")
    if facts.python and facts.python < OLDEST_PYTHON:
        found = ".".join(map(str, facts.python))
        problems.append(f"Python {found} is too old; 3.11 or newer is needed (Debian 12, Ubuntu 24.04)")
    if len(str(node.paths.run)) > LONGEST_SOCKET_FOLDER:
        problems.append(f"root {node.root} is too long for unix sockets under it; choose a shorter one")
    return problems


def _room(facts: Observed, room: Room | None) -> list[str]:
    if room is None:
        return []
    apart = room.temporary if facts.temporary_apart else 0
    problems = []
    wanted_mib = -(-(room.releases + room.temporary - apart) // _MIB) + SPARE_MIB
    if facts.disk_free_kib < wanted_mib * 1024:
        problems.append(
            f"{facts.disk_free_kib // 1024} MiB are free where releases go, and {wanted_mib} MiB are needed while this"
            " one is installed: make room, or keep fewer (`release: {keep: 2}`)"
        )
    if facts.temporary_free_kib * 1024 < apart:
        problems.append(
            f"{facts.temporary_free_kib // 1024} MiB are free in /tmp, and {-(-apart // _MIB)} MiB are sent there:"
            " make room, log in as root, or let the host fetch its packages (`release: {source: cache}` or `index`)"
        )
    return problems


def _ports(node: NodeSpec, facts: Observed) -> list[str]:
    """Ports of the node that something else listens on: most often the go-livepeer that it is to take the place of."""
    wanted = {port_of(node.monitoring.admin_listen): "the admin endpoints"}
    if node.orchestrator is not None:
        wanted[port_of(node.orchestrator.listen)] = "gateways and workers"
    if node.monitoring.scrape is not None:
        wanted[port_of(node.monitoring.scrape.listen)] = "monitors"
    if node.monitor is not None and node.monitor.listen is not None:
        wanted[port_of(node.monitor.listen)] = "hosts that push"
    problems = []
    for listener in facts.listeners:
        unseen = listener.pid == 0 and facts.active  # an ordinary user does not see whose it is: likely the agent's own
        if listener.port not in wanted or listener.own or unseen:
            continue
        stop = f"`systemctl disable --now {listener.unit}`" if listener.unit else "stop it"
        what = "go-livepeer" if listener.program == GO_LIVEPEER else "another program"
        problems.append(
            f"port {listener.port}, wanted for {wanted.pop(listener.port)}, is held by {what}: {listener.told};"
            f" {stop}, or"
            " give this node another port"
        )
    return problems


def port_of(address: str) -> int:
    """The port of a listen address."""
    return int(address.rpartition(":")[2])


def _clock(facts: Observed, now: float) -> list[str]:
    skew = facts.clock - now
    if abs(skew) <= CLOCK_REFUSE_S:
        return []
    return [f"the clock is {skew:+.0f} s off this machine's; set it (`timedatectl set-ntp true`) and apply again"]
