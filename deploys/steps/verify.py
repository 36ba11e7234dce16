"""Does the deployed version serve? The agent's own word, waited for with a bound."""

import shlex

from deploys.facts import Answer
from deploys.outcome import Outcome, Shell
from deploys.steps.preflight import ServiceKind
from livefleet.spec import NodeSpec

__all__ = ["admin_address", "verify", "wait_s"]

_READY_WITHIN_S = 60.0
_ANY_ADDRESS = ("", "0.0.0.0", "*")  # noqa: S104 -- asked, not bound


def admin_address(node: NodeSpec) -> str:
    """Where the admin endpoints are asked on the host itself."""
    host, _, port = node.monitoring.admin_listen.rpartition(":")
    return f"{'127.0.0.1' if host in _ANY_ADDRESS else '[::1]' if host == '[::]' else host}:{port}"


def wait_s(node: NodeSpec) -> float:
    """How long being ready may take: models have a time of their own to load in."""
    return _READY_WITHIN_S + (node.duties.ai.load_timeout_s if node.duties.ai else 0.0)


def verify(node: NodeSpec, kind: ServiceKind, version: str, answer: Answer) -> Outcome:
    """Nothing to do when the deployed version is ready; else a failure that says what blocks."""
    problem = _problem(node, version, answer)
    if problem is None:
        return Outcome()
    log = (
        "journalctl --unit livefleet.service --lines 15 --no-pager --output cat"
        if kind is ServiceKind.SYSTEMD
        else f"tail -n 15 {shlex.quote(f'{node.paths.log}/agent.log')}"
    )
    show_log = [f"echo 'last lines of its log:' >&2; {log} >&2"] if answer.unreachable else []
    command = Shell("\n".join([f"printf '%s\\n' {shlex.quote(problem)} >&2", *show_log, "exit 1"]))
    return Outcome(commands=(command,), refusal=problem)


def _problem(node: NodeSpec, version: str, answer: Answer) -> str | None:
    waited = f"after {wait_s(node):g} s"
    if answer.unreachable:
        return f"the agent does not answer on {admin_address(node)} {waited}: {answer.unreachable}"
    if answer.version != version:
        return f"version {answer.version or 'unknown'} answers on {admin_address(node)}, not the deployed {version}"
    if not answer.ready:
        return f"the agent is not ready {waited}: {'; '.join(answer.blocking) or 'it does not say why'}"
    return None
