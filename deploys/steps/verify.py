"""Does the deployed version serve? The agent's own word, waited for with a bound."""

import shlex
from collections.abc import Sequence

from deploys.facts import Answer
from deploys.outcome import Outcome, Shell
from deploys.steps.preflight import ServiceKind
from livefleet.spec import NodeSpec

__all__ = ["admin_address", "verify", "wait_s"]

_READY_WITHIN_S = 60.0
_MARGIN_S = 240  # for going back
_ANY_ADDRESS = ("", "0.0.0.0", "*")  # noqa: S104 -- asked, not bound


def admin_address(node: NodeSpec) -> str:
    """Where the admin endpoints are asked on the host itself."""
    host, _, port = node.monitoring.admin_listen.rpartition(":")
    return f"{'127.0.0.1' if host in _ANY_ADDRESS else '[::1]' if host == '[::]' else host}:{port}"


def wait_s(node: NodeSpec) -> float:
    """How long being ready may take: models have a time of their own to load in."""
    return _READY_WITHIN_S + (node.duties.ai.load_timeout_s if node.duties.ai else 0.0)


def verify(
    node: NodeSpec,
    kind: ServiceKind,
    version: str,
    answer: Answer,
    *,
    digest: str = "",
    when_it_fails: Sequence[str] = (),
) -> Outcome:
    """Nothing to do when the deployed version is ready; else a failure that says what blocks.

    `digest`: of the specification that it should run; empty: any. `when_it_fails`: shell lines before the end.
    """
    problem = _problem(node, version, digest, answer)
    if problem is None:
        return Outcome()
    log = (
        "journalctl --unit livefleet.service --lines 15 --no-pager --output cat"
        if kind is ServiceKind.SYSTEMD
        else f"tail -n 15 {shlex.quote(f'{node.paths.log}/agent.log')}"
    )
    show_log = [f"echo 'last lines of its log:' >&2; {log} >&2"] if answer.unreachable else []
    said = f"printf '%s\\n' {shlex.quote(problem)} >&2"
    text = "\n".join(["set -u", said, *show_log, "set -e", *when_it_fails, "exit 1"])
    command = Shell(text, timeout_s=int(wait_s(node) + 2 * node.service.stop_timeout_s) + _MARGIN_S)
    return Outcome(commands=(command,), refusal=problem)


def _problem(node: NodeSpec, version: str, digest: str, answer: Answer) -> str | None:
    waited = f"after {wait_s(node):g} s"
    if answer.unreachable:
        return f"the agent does not answer on {admin_address(node)} {waited}: {answer.unreachable}"
    if answer.version != version:
        return f"version {answer.version or 'unknown'} answers on {admin_address(node)}, not the deployed {version}"
    if digest and answer.digest and answer.digest != digest:
        return f"the agent runs another node.yaml ({answer.digest}) than the deployed one ({digest}) {waited}"
    if not answer.ready:
        return f"the agent is not ready {waited}: {'; '.join(answer.blocking) or 'it does not say why'}"
    return None
