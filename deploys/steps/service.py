"""Keeping the agent running, and starting it anew when what it runs from has changed.

What the service was last started with stands in `<opt>/started`, a digest over release, configuration and unit. It is
written after the start: a run that was cut off in between starts the service again the next time.
"""

import hashlib
import shlex
from collections.abc import Sequence

from deploys.facts import Observed
from deploys.outcome import Outcome, sh
from deploys.steps.files import HostFile, changed_files, difference, put_script
from deploys.steps.preflight import ServiceKind
from livefleet.spec import NodeSpec

__all__ = ["service", "stamp_of", "supervisor_command"]

_START_MARGIN_S = 120


def stamp_of(release_id: str, files: Sequence[HostFile]) -> str:
    """One word for all that a running service depends on."""
    parts = [release_id, *(f"{file.path} {file.sha256}" for file in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def supervisor_command(node: NodeSpec, opt: str, action: str, owner: str | None) -> str:
    """The supervisor's command line."""
    words = ["python3", f"{opt}/supervise.py", action, "--pid-file", f"{node.paths.run}/supervisor.pid"]
    words += ["--stop-timeout", f"{node.service.stop_timeout_s:g}"]
    if action == "start":
        program = [f"{opt}/current/venv/bin/livefleet", "agent", "run", str(node.paths.node_yaml)]
        words += ["--log", f"{node.paths.log}/agent.log", *(["--user", owner] if owner else []), "--", *program]
    return shlex.join(words)


def service(
    node: NodeSpec, kind: ServiceKind, file: HostFile, stamp: str, opt: str, facts: Observed, owner: str | None
) -> Outcome:
    """Install the unit or the supervisor, start or restart when needed. `file` is that unit or supervisor."""
    changed = changed_files([file], facts)
    restart = facts.started != stamp or not facts.active
    enable = kind is ServiceKind.SYSTEMD and not facts.enabled
    if not (changed or restart or enable):
        return Outcome()
    put, stdin = put_script(changed)
    lines = [*put]
    notes = [f"write {f.path}" for f in changed]
    if kind is ServiceKind.SYSTEMD:
        # daemon-reload only when a unit changed: on hosts with containers it can take GPUs away from them.
        lines += ["systemctl daemon-reload"] if changed else []
        lines += ["systemctl enable --quiet livefleet.service"] if enable else []
        lines += [_systemd_restart()] if restart else []
    elif restart:
        lines += _process_restart(node, opt, owner)
    if restart:
        lines.append(f"umask 022; printf '%s\\n' {stamp} > {shlex.quote(opt + '/started')}")
        notes.append("start the agent" if not facts.active else "restart the agent")
    shown = (
        difference(changed, facts) if kind is ServiceKind.SYSTEMD else ()
    )  # a program's text tells operators nothing
    timeout_s = int(node.service.stop_timeout_s) + _START_MARGIN_S
    return Outcome(commands=(sh(lines, stdin=stdin, timeout_s=timeout_s),), notes=tuple(notes), diff=shown)


def _systemd_restart() -> str:
    return (
        "systemctl reset-failed livefleet.service 2>/dev/null || true; systemctl restart livefleet.service || {"
        " echo 'the service did not start; its last lines:' >&2;"
        " journalctl --unit livefleet.service --lines 20 --no-pager --output cat >&2; exit 1; }"
    )


def _process_restart(node: NodeSpec, opt: str, owner: str | None) -> list[str]:
    run, log = shlex.quote(str(node.paths.run)), shlex.quote(str(node.paths.log))
    return [
        supervisor_command(node, opt, "stop", owner),
        f"umask 022; mkdir -p {run} {log}",
        *([f"chown {owner}: {run}"] if owner else []),
        supervisor_command(node, opt, "start", owner),
    ]
