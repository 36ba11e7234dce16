"""`livefleet agent reload`: have the agent on this machine take its node.yaml over, and wait for its word."""

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livefleet.cli.agent_drain import ask_status
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.kernel.pid_file import PID_FILE, holder_of

if TYPE_CHECKING:
    from livefleet.spec import NodeSpec

__all__ = ["reload"]

_NODE_YAML = "/etc/livefleet/node.yaml"
_PATIENCE_S = 30.0
_LOOK_S = 0.1


@click.command("reload")
@click.argument("node", type=click.Path(dir_okay=False, path_type=Path), default=_NODE_YAML)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def reload(ctx: click.Context, node: Path, *, as_json: bool) -> None:
    """Have the agent go on with what NODE says, without a restart, and say whether it runs all of it.

    Exit code 1: something in it needs a restart (the rest is in force); 2: NODE is wrong, nothing has changed; 3: no
    agent runs here, or it does not answer.
    """
    from livefleet.spec import load_node, node_digest

    spec = load_node(node)
    digest = node_digest(spec)
    _tell(spec)
    taken, said = _wait(spec, digest)
    if as_json:
        print_json({"taken": taken, "digest": digest, "message": said})
    else:
        console().print(said or "the agent runs what its node.yaml says", markup=False)
    ctx.exit(ExitCode.DONE if taken else ExitCode.PARTLY_FAILED)


def _tell(spec: "NodeSpec") -> None:
    pid = holder_of(spec.paths.run / PID_FILE)
    if pid is None:
        raise OutsideWorld(f"no agent runs here ({spec.paths.run / PID_FILE} is held by nobody)")
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError as error:
        raise BadInput("this user may not signal the agent; run this as the agent's user or root") from error
    except ProcessLookupError as error:
        raise OutsideWorld("the agent ended a moment ago") from error


def _wait(spec: "NodeSpec", digest: str) -> tuple[bool, str]:
    """Until it runs this digest, or has said since that it does not. Raises OutsideWorld where nobody answers."""
    until = time.monotonic() + _PATIENCE_S
    said = ""
    while time.monotonic() < until:
        status = ask_status(spec)
        if status is not None:
            if status.get("digest") == digest:
                return True, ""
            looked_at = status.get("spec", {}).get("read")
            said = next((c["message"] for c in status.get("conditions", ()) if c["name"] == "SpecCurrent"), "")
            if looked_at == digest:
                if (pulled := status.get("pull", {}).get("held_version")) is not None:
                    return True, f"the agent runs version {pulled} of its bundle, which it pulled after that"
                return False, said or "the agent does not say why"
        time.sleep(_LOOK_S)
    if not said:
        raise OutsideWorld(f"no agent answers on {spec.monitoring.admin_listen} within {_PATIENCE_S:g} s")
    return False, said
