"""The host around the agent: a right clock, a journal that does not fill the disk, the few kernel settings it needs.

Everything stands in files of livefleet's own, which `remove` takes away. What the agent does not need is not touched:
limits of open files and memory are the unit's, and the kernels of supported distributions have enough of everything
else (accept queues, ports, sockets' buffers).
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from deploys.steps.config import SERVICE_USER
from deploys.steps.files import HostFile, changed_files, difference, put_script
from livefleet.spec import MachineSettings, NodeSpec

__all__ = ["MACHINE_PATHS", "forget_machine", "machine", "needs_time_service"]

SYSCTL_PATH: Final = "/etc/sysctl.d/60-livefleet.conf"
JOURNAL_PATH: Final = "/etc/systemd/journald.conf.d/60-livefleet.conf"
MODULES_PATH: Final = "/etc/modules-load.d/livefleet.conf"
MACHINE_PATHS: Final = (SYSCTL_PATH, JOURNAL_PATH, MODULES_PATH)
"""Files that are compared; none holds a secret."""

TIME_SERVICE: Final = "systemd-timesyncd"
_SYSCTL: Final = Path(__file__).parent.parent / "files/sysctl.conf"
_AT_LEAST: Final = frozenset({"kernel.yama.ptrace_scope"})  # a stricter value stays
_MODULES: Final = """\
# Written by livefleet. The unit's devices are looked up when it starts: a module that comes later stays forbidden.
nvidia
nvidia_uvm
"""
_STRONG_GROUPS: Final = frozenset({"root", "sudo", "wheel", "admin", "docker", "lxd", "libvirt", "disk", "shadow"})
_MIB: Final = 1 << 20


def needs_time_service(settings: MachineSettings, node: NodeSpec, facts: Observed) -> bool:
    """Whether one has to be installed or started: none runs, and the clock is this host's own."""
    safety = facts.safety
    is_managed = settings.mode == "managed" and node.root == "/" and facts.systemd
    return is_managed and not (safety.time_services or safety.container or safety.timesyncd_masked)


def machine(settings: MachineSettings, node: NodeSpec, facts: Observed) -> Outcome:
    """Write what differs and put it in force; refuse a service user that is more than one."""
    if node.root != "/" or not facts.systemd:
        return Outcome()
    if (problem := _strong_user(facts)) is not None:
        return refuse(problem)
    if settings.mode == "none":
        there = any(path in facts.files for path in MACHINE_PATHS)
        notes = ("take livefleet's settings of the machine away: `machine: none`",)
        return Outcome(commands=(sh(forget_machine()),), notes=notes) if there else Outcome()
    changed = changed_files(tuple(_files(settings, facts)), facts)
    paths = {file.path for file in changed}
    settled = dict(_to_set(facts))
    starts_clock = needs_time_service(settings, node, facts)
    notes = [f"write {file.path}" for file in changed]
    notes += [f"set {name} to {value}" for name, value in settled.items()]
    notes += [f"start {TIME_SERVICE}: no time service runs"] if starts_clock else []
    if not (changed or settled or starts_clock):
        return Outcome(notes=tuple(_remarks(facts)))
    put, stdin = put_script(changed)
    folders = sorted({path.rpartition("/")[0] for path in paths})
    lines = [
        *([f"umask 022; mkdir -p {' '.join(folders)}"] if folders else []),
        *put,
        *(f"sysctl -q -w {name}={value}" for name, value in settled.items()),
        *(["systemctl restart systemd-journald.service"] if JOURNAL_PATH in paths else []),
        *(_start_clock() if starts_clock else []),
    ]
    return Outcome(
        commands=(sh(lines, stdin=stdin),), notes=(*notes, *_remarks(facts)), diff=difference(changed, facts)
    )


def forget_machine() -> list[str]:
    """Shell lines that take the files away; values of the running kernel stay until its next boot."""
    return [
        f"if [ -e {JOURNAL_PATH} ]; then rm -f {JOURNAL_PATH}; systemctl restart systemd-journald.service; fi",
        f"rm -f {SYSCTL_PATH} {MODULES_PATH}",
    ]


def _files(settings: MachineSettings, facts: Observed) -> Iterator[HostFile]:
    journal = (
        "# Written by livefleet; `livefleet apply` puts it back.\n"
        f"[Journal]\nSystemMaxUse={max(1, settings.journal_max // _MIB)}M\n"
    )
    yield HostFile(SYSCTL_PATH, _SYSCTL.read_bytes(), 0o644, None, secret=False)
    yield HostFile(JOURNAL_PATH, journal.encode(), 0o644, None, secret=False)
    if facts.nvidia_pci:
        yield HostFile(MODULES_PATH, _MODULES.encode(), 0o644, None, secret=False)


def _to_set(facts: Observed) -> Iterator[tuple[str, int]]:
    """Settings of the running kernel that differ and may be set."""
    for name, wanted in _wanted():
        found = facts.safety.sysctl.get(name)
        if found is None or not found.writable:
            continue
        if found.value < wanted if name in _AT_LEAST else found.value != wanted:
            yield name, wanted


def _wanted() -> Iterator[tuple[str, int]]:
    for line in _SYSCTL.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.removeprefix("-").partition("=")
            yield name.strip(), int(value)


def _start_clock() -> list[str]:
    why = f"{TIME_SERVICE} does not start (`journalctl --unit {TIME_SERVICE}`); or run a time service of your own"
    return [
        f"systemctl enable --now --quiet {TIME_SERVICE}.service",
        f"systemctl is-active --quiet {TIME_SERVICE}.service || {{ echo {shlex.quote(why)} >&2; exit 1; }}",
    ]


def _remarks(facts: Observed) -> Iterator[str]:
    safety = facts.safety
    if safety.container:
        yield f"the clock and the kernel's settings are those of the machine around this {safety.container} container"
    elif safety.timesyncd_masked and not safety.time_services:
        yield f"no time service runs and {TIME_SERVICE} is masked: start one, tickets and TLS want a right clock"
    open_swap = [name for name in safety.swap if not name.startswith(("/dev/dm-", "/dev/zram", "/dev/mapper/"))]
    if open_swap:
        yield (
            f"swap on {', '.join(open_swap)} may hold memory of other programs in the clear; the agent's is kept out of"
            " it (MemorySwapMax=0)"
        )


def _strong_user(facts: Observed) -> str | None:
    """Why the service's user, which was there before, is not fit to be one."""
    safety = facts.safety
    if safety.service_uid == 0:
        return f"the user {SERVICE_USER} has the uid 0: rename it, so that an unprivileged one can be made"
    strong = sorted(_STRONG_GROUPS.intersection(safety.service_groups))
    if strong:
        return (
            f"the user {SERVICE_USER} is in {', '.join(strong)}, which is as good as root:"
            f" `gpasswd --delete {SERVICE_USER} {strong[0]}`, then apply again"
        )
    return None
