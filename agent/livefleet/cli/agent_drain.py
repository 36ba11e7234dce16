"""`livefleet agent drain`: ask the node on this machine to be emptied, or take that back."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import click

from livefleet.cli.duration import duration
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.kernel.pid_file import PID_FILE, wake

if TYPE_CHECKING:
    from livefleet.spec import DrainOrders, DrainReport, NodeSpec

__all__ = ["ask_status", "drain"]

_NODE_YAML = "/etc/livefleet/node.yaml"
_LOOK_S = 0.5
_ANSWER_S = 5.0  # of the admin endpoint
_MARGIN_S = 60.0  # beyond the deadline: what is in flight then is finished


@click.command("drain")
@click.argument("node", type=click.Path(dir_okay=False, path_type=Path), default=_NODE_YAML)
@click.option("--device", "devices", multiple=True, metavar="ID", help="Only this device (`cpu`, a GPU's UUID).")
@click.option("--deadline", type=duration, default="10m", show_default=True, help="How long running streams may go on.")
@click.option("--reason", default="", metavar="TEXT", help="Why; shown wherever the node tells how it is.")
@click.option("--off", is_flag=True, help="Take the request back: serve again.")
@click.option("--wait", is_flag=True, help="Come back when the node is emptied.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def drain(
    ctx: click.Context,
    node: Path,
    *,
    devices: tuple[str, ...],
    deadline: float,
    reason: str,
    off: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Empty the node of NODE, or devices of it: no new sessions, running ones end or move.

    The request lies in the node's state folder. It outlives a restart of the agent and of the machine until `--off`.
    An agent that runs looks at it at once. Exit code 1: not emptied in time; 2: wrong input; 3: no agent to wait for.
    """
    from livefleet.spec import DrainOrder, DrainOrders, load_drain, load_node, save_drain

    spec = load_node(node)
    state = spec.paths.state
    if not state.is_dir():
        raise BadInput(f"{state}: no such folder; the node has never run here")
    if not off:
        _check_devices(spec, devices)
    try:
        orders = load_drain(state)
    except BadInput:
        orders = DrainOrders()  # replaced by what is asked now
    if off:
        orders = orders.without(devices)
    else:
        orders = orders.adding(DrainOrder(since=time.time(), deadline_s=deadline, reason=reason[:500]), devices)
    save_drain(state, orders)
    is_awake = wake(spec.paths.run / PID_FILE)
    report = _wait(spec, devices, deadline + _MARGIN_S) if wait and not off else None
    if as_json:
        print_json({
            "agent_runs": is_awake,
            "orders": orders.model_dump(),
            "report": None if report is None else report.model_dump(mode="json"),
        })  # fmt: skip
    else:
        console().print(_text(orders, report, is_awake=is_awake), markup=False)
    ctx.exit(ExitCode.DONE if report is None or report.is_drained(devices) else ExitCode.PARTLY_FAILED)


def _text(orders: "DrainOrders", report: "DrainReport | None", *, is_awake: bool) -> str:
    if report is not None:
        return "\n".join(f"{scope.device or 'node'}: {scope.text}" for scope in report.scopes)
    told = "the agent was told" if is_awake else "no agent runs; it goes by this once it does"
    what = [*(["the node"] if orders.node else []), *orders.devices]
    asked = f"to be emptied: {', '.join(what)}" if what else "nothing is to be emptied"
    return f"{asked}; {told}"


def _check_devices(spec: "NodeSpec", devices: tuple[str, ...]) -> None:
    """A device that the node has not would wait to be emptied for ever. Where no agent answers, nobody knows."""
    if not devices:
        return
    load = (ask_status(spec) or {}).get("load", {})
    known = [device["device"] for device in load.get("devices", ())]
    unknown = [device for device in devices if known and device not in known]
    if unknown:
        raise BadInput(f"no device {', '.join(unknown)}; the node transcodes on {', '.join(known)}")


def _wait(spec: "NodeSpec", devices: tuple[str, ...], patience_s: float) -> "DrainReport":
    """The node's word on being emptied, or its last one when time is up. Raises OutsideWorld where nobody answers."""
    from livefleet.spec import DrainReport

    until, silent_until = time.monotonic() + patience_s, time.monotonic() + _MARGIN_S
    while True:
        status = ask_status(spec)
        if status is not None:
            report = DrainReport.model_validate(status.get("drain", {}))
            if report.is_drained(devices) or time.monotonic() > until:
                return report
            silent_until = time.monotonic() + _MARGIN_S
        elif time.monotonic() > silent_until:
            raise OutsideWorld(f"no agent answers on {spec.monitoring.admin_listen}; the request stands")
        time.sleep(_LOOK_S)


def ask_status(spec: "NodeSpec") -> dict[str, Any] | None:
    """/status of the agent on this machine; None where none answers."""
    host, _, port = spec.monitoring.admin_listen.rpartition(":")
    here = "127.0.0.1" if host in {"", "0.0.0.0", "*"} else "[::1]" if host == "[::]" else host  # noqa: S104 -- asked, not bound
    try:
        with urlopen(f"http://{here}:{port}/status", timeout=_ANSWER_S) as answer:
            status: dict[str, Any] = json.load(answer)
    except (URLError, OSError, ValueError):
        return None
    return status
