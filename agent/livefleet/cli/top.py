"""`livefleet top`: what every host and every GPU does now."""

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from livefleet.cli.output import console, print_json
from livefleet.cli.selection import FLEET, PARALLEL, selecting
from livefleet.cli.status_words import amount
from livefleet.cli.top_rates import Rates, rates
from livefleet.cli.watching import EVERY, TIMES, watch
from livefleet.control import FleetStatus, HostStatus, Selection, fleet_status
from livefleet.control.node_parts import GpuPart
from livefleet.spec import Role, load_fleet

__all__ = ["command"]

_GIB = 1 << 30
_HOT_C = 83
_STATES = {"healthy": "green", "watch": "yellow"}


@click.command("top")
@selecting(host_option=False)
@FLEET
@PARALLEL
@EVERY
@TIMES
@click.option("--json", "as_json", is_flag=True, help="One JSON document of one look on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    *,
    roles: tuple[Role, ...],
    groups: tuple[str, ...],
    fleet: Path,
    parallel: int,
    every: float,
    times: int | None,
    as_json: bool,
) -> None:
    """Watch what HOSTS (all unless named) do: sessions, cores, segments and income a second, and each GPU.

    Where output is no terminal, one picture is printed below the other; --times 1 prints one.

    Exit code 1 when a host cannot be asked or is not ready, 2 when the input is wrong.
    """
    loaded = load_fleet(fleet)
    names = Selection(hosts, roles, groups).of(loaded)
    if as_json:
        found = fleet_status(loaded, names, parallel=parallel)
        print_json({"hosts": [_document(host) for host in found.hosts]})
        ctx.exit(found.exit_code)
    seen: list[tuple[float, FleetStatus]] = []

    def look() -> RenderableType:
        now, found = time.time(), fleet_status(loaded, names, parallel=parallel)
        before = {host.host: host for host in seen[-1][1].hosts} if seen else {}
        took_s = now - seen[-1][0] if seen else 0.0
        seen[:] = [(now, found)]
        return _picture(found, {h.host: rates(before.get(h.host), h, took_s) for h in found.hosts}, now)

    watch(console(), look, every_s=every, times=times)
    ctx.exit(seen[-1][1].exit_code if seen else 0)


def _document(host: HostStatus) -> dict[str, Any]:
    report = host.report
    return {
        "host": host.host,
        "role": host.role,
        "ready": host.ready,
        "error": host.error or None,
        "sessions": report.server.sessions if report and report.server else None,
        "load": report.load.model_dump() if report and report.load else None,
        "hardware": report.hardware.model_dump() if report and report.hardware else None,
        "gpus": [gpu.model_dump() for gpu in report.gpus] if report else [],
    }


def _picture(found: FleetStatus, changes: dict[str, Rates | None], now: float) -> RenderableType:
    hosts = Table("host", "role", "ready", "sessions", "cores", "segments/s", "failed/s", "income/s", box=None)
    for host in found.hosts:
        hosts.add_row(*_host_row(host, changes[host.host]))
    rows = [row for host in found.hosts for row in _gpu_rows(host)]
    parts: list[RenderableType] = [Text(time.strftime("%H:%M:%S", time.localtime(now)), style="dim"), hosts]
    if rows:
        gpus = Table(
            "\nhost", "\nGPU", "\nstate", "\nbusy", "\nNVENC", "\nNVDEC", "\nmemory", "\n°C", "\nW", box=None
        )  # fmt: skip
        for row in rows:
            gpus.add_row(*row)
        parts.append(gpus)
    return Group(*parts)


def _host_row(host: HostStatus, change: Rates | None) -> tuple[Text | str, ...]:
    if host.report is None:
        return host.host, host.role, Text("unreachable", style="red"), "", "", "", "", ""
    server, load = host.report.server, host.report.load
    return (
        host.host,
        host.role,
        Text("yes", style="green") if host.ready else Text("no", style="red"),
        f"{server.sessions}/{server.max_sessions}" if server else "-",
        f"{load.cores_used_by_sessions + load.cores_used_by_others:.1f}/{load.cores:g}" if load else "-",
        f"{change.segments:.1f}" if change else "-",
        Text(f"{change.failed:.1f}", style="red" if change.failed else "") if change else "-",
        amount(round(change.income_wei)) if change and change.income_wei is not None else "-",
    )


def _gpu_rows(host: HostStatus) -> list[tuple[Text | str, ...]]:
    if host.report is None or host.report.hardware is None:
        return []
    states = {health.gpu: health.state for health in host.report.gpus}
    return [_gpu_row(host.host, gpu, states.get(gpu.gpu, "")) for gpu in host.report.hardware.devices]


def _gpu_row(host: str, gpu: GpuPart, state: str) -> tuple[Text | str, ...]:
    said = gpu.fault or state or "-"
    colour = "red" if gpu.fault else _STATES.get(state, "red" if state else "")
    memory = "-"
    if gpu.memory_used is not None and gpu.memory_total is not None:
        memory = f"{gpu.memory_used / _GIB:.1f}/{gpu.memory_total / _GIB:.0f} GiB"
    hot = gpu.temperature_c is not None and gpu.temperature_c >= _HOT_C
    return (
        host,
        f"{gpu.name or gpu.gpu} {gpu.gpu[:12] if gpu.name else ''}".strip(),
        Text(said, style=colour),
        _percent(gpu.utilization),
        _percent(gpu.encoder_utilization) + ("" if gpu.encoder_sessions is None else f" ({gpu.encoder_sessions})"),
        _percent(gpu.decoder_utilization),
        memory,
        Text("-" if gpu.temperature_c is None else str(gpu.temperature_c), style="red" if hot else ""),
        _power(gpu),
    )


def _percent(value: int | None) -> str:
    return "-" if value is None else f"{value}%"


def _power(gpu: GpuPart) -> str:
    if gpu.power_mw is None:
        return "-"
    limit = "" if gpu.power_limit_mw is None else f"/{gpu.power_limit_mw / 1000:.0f}"
    return f"{gpu.power_mw / 1000:.0f}{limit}"
