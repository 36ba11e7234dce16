"""Telling a host what its paid job came to, where it is offered to gateways by that."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from livefleet.control.remote import program_on, run_on_host
from livefleet.control.smoke import SmokeResult, SmokeStage
from livefleet.kernel import LivefleetError
from livefleet.spec import SMOKE_TEXT_MOST, Fleet, HostSettings, NodeSpec

__all__ = ["agent_smoke_command", "told_to_host"]

_ASK_TIMEOUT_S: Final = 60.0
_ITS_OWN_FAULT: Final = (SmokeStage.WORK, SmokeStage.CHECK)
"""Where it is the host that fails. Before that it may be who pays: his money, his limits, his way to the host."""


def told_to_host(
    fleet: Fleet, result: SmokeResult, *, run: Callable[[HostSettings, Sequence[str]], object] | None = None
) -> SmokeResult:
    """The result, once its host knows it. Hosts that are offered as they are have nothing to know.

    A host that passed and could not be told has failed: gateways do not get it.
    """
    node = fleet.node(result.host)
    if node.orchestrator is None or node.orchestrator.smoke_account is None:
        return result
    is_its_fault = any(job.failed_at in _ITS_OWN_FAULT for job in result.jobs)
    if not result.passed and not is_its_fault:
        return result
    try:
        (run or _run)(fleet.host(result.host), agent_smoke_command(node, result))
    except LivefleetError as error:
        what = "it is offered to nobody else" if result.passed else "it may still be offered to gateways"
        text = f"{result.text}; the host could not be told, so {what}: {error}; `livefleet smoke {result.host}` again"
        return replace(result, passed=False, text=text)
    return result


def agent_smoke_command(node: NodeSpec, result: SmokeResult) -> list[str]:
    """The command line on the host. Pure."""
    program = program_on(node)
    text = " ".join(result.text.split())[:SMOKE_TEXT_MOST]
    how = "--passed" if result.passed else "--failed"
    return [program, "agent", "smoke", str(node.paths.node_yaml), how, f"--text={text}"]


def _run(host: HostSettings, command: Sequence[str]) -> None:
    run_on_host(host, command, timeout_s=_ASK_TIMEOUT_S)
