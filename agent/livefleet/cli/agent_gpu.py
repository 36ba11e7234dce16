"""`livefleet agent gpu`: how the GPUs of the node on this machine are, and taking one back into service."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.cli.agent_drain import ask_status
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.kernel.pid_file import PID_FILE, wake

if TYPE_CHECKING:
    from livefleet.spec import NodeSpec

__all__ = ["gpu"]

_NODE_YAML = "/etc/livefleet/node.yaml"
_LOOK_S = 0.1
_PATIENCE_S = 30.0
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_NODE = click.argument("node", type=click.Path(dir_okay=False, path_type=Path), default=_NODE_YAML)


@click.group("gpu")
def gpu() -> None:
    """GPUs' health: what is wrong, what was done about it, and taking one back."""


@gpu.command("show")
@_NODE
@_AS_JSON
@click.pass_context
def show(ctx: click.Context, node: Path, *, as_json: bool) -> None:
    """Tell how each GPU of NODE is, with what is wrong and what to do.

    Exit code 1: one of them gets no work; 3: no agent answers.
    """
    from livefleet.spec import load_node

    spec = load_node(node)
    found = _gpus(spec)
    if found is None:
        raise OutsideWorld(f"no agent answers on {spec.monitoring.admin_listen}")
    if as_json:
        print_json({"gpus": found})
    else:
        console().print("\n".join(line for one in found for line in _lines(one)) or "no GPU", markup=False)
    ctx.exit(ExitCode.PARTLY_FAILED if any(_is_aside(one) for one in found) else ExitCode.DONE)


@gpu.command("clear")
@click.argument("uuid")
@_NODE
@_AS_JSON
@click.pass_context
def clear(ctx: click.Context, uuid: str, node: Path, *, as_json: bool) -> None:
    """Take the GPU with this UUID back: what was reported of it so far counts no more.

    What NVML still shows is judged anew. The request lies in the node's state folder; an agent that runs looks at it at
    once. Exit code 1: it still gets no work, for what is told; 2: wrong input; 3: the agent does not answer.
    """
    from livefleet.spec import load_node
    from livefleet.spec.gpu_clear import GpuClearings, load_gpu_clearings, save_gpu_clearings

    spec = load_node(node)
    state = spec.paths.state
    if not state.is_dir():
        raise BadInput(f"{state}: no such folder; the node has never run here")
    known = [one["gpu"] for one in _gpus(spec) or ()]
    if known and uuid not in known:
        raise BadInput(f"no GPU {uuid}; the node has {', '.join(known)}")
    try:
        clearings = load_gpu_clearings(state)
    except BadInput:
        clearings = GpuClearings()  # replaced by what is asked now
    at = time.time()
    save_gpu_clearings(state, clearings.adding(uuid, at))
    found = _wait(spec, uuid, at) if wake(spec.paths.run / PID_FILE) else None
    if as_json:
        print_json({"agent_runs": found is not None, "gpu": found})
    elif found is None:
        console().print("no agent runs; it goes by this once it does", markup=False)
    else:
        console().print("\n".join(_lines(found)), markup=False)
    is_still_wrong = found is not None and _is_aside(found) and found["back_in_s"] is None
    ctx.exit(ExitCode.PARTLY_FAILED if is_still_wrong else ExitCode.DONE)


def _gpus(spec: "NodeSpec") -> list[dict[str, Any]] | None:
    status = ask_status(spec)
    return None if status is None else list(status.get("gpus", ()))


def _is_aside(one: dict[str, Any]) -> bool:
    return one["state"] not in {"healthy", "watch"}


def _lines(one: dict[str, Any]) -> list[str]:
    lines = [f"{one['gpu']}: {one['state']} ({one['reason']}): {one['text']}"]
    if one["advice"]:
        lines.append(f"  {one['advice']}")
    lines += [f"  besides: {sign['text']}; {sign['advice']}" for sign in one["signs"] if sign["text"] != one["text"]]
    return lines


def _wait(spec: "NodeSpec", uuid: str, at: float) -> dict[str, Any]:
    """How the GPU is once the agent goes by the request. Raises OutsideWorld where it does not say so in time."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        for one in _gpus(spec) or ():
            if one["gpu"] == uuid and one["cleared_at"] >= at:
                return one
        time.sleep(_LOOK_S)
    raise OutsideWorld(f"no agent on {spec.monitoring.admin_listen} tells that it has taken {uuid} back; it stands")
