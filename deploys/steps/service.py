"""Keeping the agent running, and starting it anew when what it runs from has changed.

What the service was last started with stands in `<opt>/started`, a digest over release, configuration and unit. It is
written after the start: a run that was cut off in between starts the service again the next time.
"""

import shlex
from collections.abc import Sequence

from deploys.facts import Observed
from deploys.outcome import Outcome, sh
from deploys.steps.preflight import ServiceKind
from deploys.steps.takeover import AgentAction, AgentChange
from livefleet.spec import NodeSpec

__all__ = ["TOLD", "restart_lines", "service", "supervisor_command"]

TOLD = "livefleet agent: "
"""How the line begins, on stdout, that tells what the agent went through: started, restarted, reloaded."""

_START_MARGIN_S = 120
_RELOAD_S = 60


def supervisor_command(node: NodeSpec, opt: str, action: str, owner: str | None) -> str:
    """The supervisor's command line."""
    words = ["python3", f"{opt}/supervise.py", action, "--pid-file", f"{node.paths.run}/supervisor.pid"]
    words += ["--stop-timeout", f"{node.service.stop_timeout_s:g}"]
    if action == "start":
        program = [f"{opt}/current/venv/bin/livefleet", "agent", "run", str(node.paths.node_yaml)]
        words += ["--log", f"{node.paths.log}/agent.log", *(["--user", owner] if owner else []), "--", *program]
    return shlex.join(words)


def service(
    node: NodeSpec,
    kind: ServiceKind,
    stamp: str,
    opt: str,
    facts: Observed,
    owner: str | None,
    change: AgentChange,
    *,
    when_it_fails: Sequence[str] = (),
) -> Outcome:
    """Start, restart or reload when needed. The unit or the supervisor is there already, with the configuration.

    Where the agent itself finds that it cannot take a reload over, it is restarted after all.
    `when_it_fails`: shell lines for an agent that does not start; the host fails after them.
    """
    enable = kind is ServiceKind.SYSTEMD and not facts.enabled
    if change.action is AgentAction.NOTHING and not enable:
        return Outcome()
    lines = ["systemctl enable --quiet livefleet.service"] if enable else []
    if change.action is not AgentAction.NOTHING:
        start = shlex.quote("\n".join(restart_lines(node, kind, opt, owner)))
        anew = "started" if change.action is AgentAction.START else "restarted"
        started = [f"sh -eu -c {start} || {{", *when_it_fails, "exit 1", "}", f"echo '{TOLD}{anew}'"]
        lines += _reload(node, opt, started) if change.action is AgentAction.RELOAD else started
        lines.append(f"umask 022; printf '%s\\n' {stamp} > {shlex.quote(opt + '/started')}")
    timeout_s = 2 * int(node.service.stop_timeout_s) + _START_MARGIN_S * (2 if when_it_fails else 1) + _RELOAD_S
    return Outcome(
        commands=(sh(lines, timeout_s=timeout_s),),
        notes=_notes(change),
        agent=change.action.value,
        effects=change.effects.changes,
    )


def _reload(node: NodeSpec, opt: str, otherwise: Sequence[str]) -> list[str]:
    command = shlex.join([f"{opt}/current/venv/bin/livefleet", "agent", "reload", str(node.paths.node_yaml)])
    return [f"if {command} </dev/null >&2; then echo '{TOLD}reloaded'; else", *otherwise, "fi"]


def _notes(change: AgentChange) -> tuple[str, ...]:
    told = {
        AgentAction.NOTHING: "enable the service",
        AgentAction.START: "start the agent",
        AgentAction.RESTART: "restart the agent",
        AgentAction.RELOAD: "tell the agent; nothing is restarted",
    }
    why = [*change.reasons, *(effect.path for effect in change.effects.restarts)]
    because = f" for {', '.join(why)}" if why and change.action is AgentAction.RESTART else ""
    return (told[change.action] + because, *(effect.text for effect in change.effects.changes))


def restart_lines(node: NodeSpec, kind: ServiceKind, opt: str, owner: str | None) -> list[str]:
    """Shell lines that start the agent anew, or end with a failure that says why it does not start."""
    return [_systemd_restart()] if kind is ServiceKind.SYSTEMD else _process_restart(node, opt, owner)


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
