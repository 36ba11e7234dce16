"""The ledgers of hosts, fetched from where they are kept."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from livefleet.control.remote import program_on, run_on_host
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import Fleet, NodeSpec

__all__ = ["HostLedger", "agent_ledger_command", "fetch_ledgers"]

_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class HostLedger:
    """One host's books as JSON lines, or why there are none."""

    host: str
    text: str = ""
    error: str = ""


def fetch_ledgers(fleet: Fleet, hosts: Sequence[str] = (), *, parallel: int = 16) -> tuple[HostLedger, ...]:
    """Of the named hosts, or of all that keep one. Raises BadInput for an unknown host, or where none keeps one."""
    names = list(hosts) or [name for name in fleet.hosts if fleet.node(name).duties.ledger is not None]
    for name in names:
        fleet.node(name)
    if not names:
        raise BadInput("no host has the duty `ledger`; declare it under `duties`, or name a file with --ledger")
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="ledger") as pool:
        return tuple(pool.map(lambda name: _fetch(fleet, name), names))


def agent_ledger_command(node: NodeSpec) -> list[str]:
    """The command line on the host. Pure."""
    program = program_on(node)
    return [program, "agent", "ledger", str(node.paths.node_yaml)]


def _fetch(fleet: Fleet, name: str) -> HostLedger:
    try:
        command = agent_ledger_command(fleet.node(name))
        return HostLedger(name, text=run_on_host(fleet.host(name), command, timeout_s=_TIMEOUT_S))
    except (BadInput, OutsideWorld) as error:
        return HostLedger(name, error=str(error))
