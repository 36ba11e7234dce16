"""`livefleet enrol list`: the hosts that have asked, and how they are."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from livefleet.cli.enrol.options import FLEET, JSON, open_store
from livefleet.cli.output import console, print_json

if TYPE_CHECKING:
    from livefleet.control.enrol.records import HostRecord

__all__ = ["command"]

_DIGEST = 19  # `sha256:` and twelve digits


@click.command("list")
@FLEET
@click.option("--waiting", is_flag=True, help="Only those that wait to be approved.")
@JSON
def command(fleet: Path, *, waiting: bool, as_json: bool) -> None:
    """Every host that has asked: its code, its name, what it is, when it was heard of last, and what it reports.

    `digest` is of the settings that it runs; `ready` is its own word. A host that was let in as one of a group and is
    not in the fleet file yet has a `*`: `livefleet enrol adopt` writes it there.
    """
    from livefleet.control.enrol.records import HostState
    from livefleet.spec import load_fleet, node_digest

    hosts = [host for host in open_store(fleet).hosts() if not waiting or host.state is HostState.WAITING]
    loaded = load_fleet(fleet) if hosts else None
    names = {host.name for host in hosts} & set(loaded.hosts if loaded else ())
    declared = {name: node_digest(loaded.node(name)) for name in names if loaded and name}
    now = time.time()
    if as_json:
        print_json([_document(host, declared) for host in hosts])
        return
    table = Table("code", "state", "name", "as", "hardware", "from", "seen", "ready", "digest", box=None)
    for host in hosts:
        missing = "*" if host.state is HostState.ENROLLED and host.name not in declared else ""
        cells = (
            host.code,
            host.state.value,
            f"{host.name or host.ask.nickname or host.ask.name}{missing}",
            str(host.template or host.ask.profile or ""),
            _hardware(host),
            host.peer,
            _ago(now - host.seen_at),
            _ready(host),
            _digest(host, declared),
        )
        table.add_row(*map(escape, cells))  # hosts name their own cards
    console().print(table)


def _document(host: "HostRecord", declared: Mapping[str, str]) -> dict[str, Any]:
    ask = host.ask
    return {
        "code": host.code,
        "state": host.state.value,
        "name": host.name,
        "declared": host.name in declared,
        "digest_declared": declared.get(host.name or ""),
        "as": None if host.template is None else {host.template.kind.value: host.template.name},
        "token_id": host.token_id,
        "decided_by": host.decided_by,
        "key": host.key,
        "peer": host.peer,
        "asked_at": host.asked_at,
        "enrolled_at": host.enrolled_at,
        "seen_at": host.seen_at,
        "mode": ask.mode.value,
        "profile": ask.profile,
        "payout": ask.payout,
        "nickname": ask.nickname,
        "gpus": [gpu.model_dump() for gpu in ask.gpus],
        "cores": ask.cores,
        "memory_mib": ask.memory_mib,
        "report": None if host.report is None else host.report.model_dump(mode="json"),
    }


def _hardware(host: "HostRecord") -> str:
    names = [gpu.name for gpu in host.ask.gpus]
    counted = [f"{names.count(name)}x {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    return ", ".join(counted) or f"no GPU, {host.ask.cores} cores"


def _ready(host: "HostRecord") -> str:
    if host.report is None:
        return "no word yet" if host.enrolled_at else ""
    return "yes" if host.report.ready else f"no: {', '.join(host.report.reasons[:3]) or 'no reason told'}"


def _digest(host: "HostRecord", declared: Mapping[str, str]) -> str:
    if host.report is None:
        return ""
    behind = declared.get(host.name or "", host.report.digest) != host.report.digest
    return host.report.digest[:_DIGEST] + (" (not as declared)" if behind else "")


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
