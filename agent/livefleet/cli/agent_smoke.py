"""`livefleet agent smoke`: tell the node on this machine what a paid job on it came to."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.cli.agent_drain import ask_status
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.kernel.pid_file import PID_FILE, wake

if TYPE_CHECKING:
    from livefleet.spec import NodeSpec

__all__ = ["smoke"]

_NODE_YAML = "/etc/livefleet/node.yaml"


@click.command("smoke")
@click.argument("node", type=click.Path(dir_okay=False, path_type=Path), default=_NODE_YAML)
@click.option("--passed/--failed", default=None, help="How it went.  [required]")
@click.option("--text", default="", metavar="TEXT", help="What was shown, or what went wrong; told wherever it counts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def smoke(node: Path, *, passed: bool | None, text: str, as_json: bool) -> None:
    """Note for NODE what a paid job on it came to: it is offered to every gateway after one that passed.

    `livefleet smoke`, `apply` and `rollout` do this by themselves; by hand it says that you have seen it work. It holds
    for the release and the driver that run now. Exit code 2: wrong input, or a node that waits for no job; 3: no agent
    answers.
    """
    from livefleet.spec import SMOKE_TEXT_MOST, SmokeProof, SmokeProofs, load_node, load_smoke_proofs, save_smoke_proofs

    if passed is None:
        raise BadInput("say how it went: --passed or --failed")
    spec = load_node(node)
    runs = _runs(spec)
    proof = SmokeProof(
        passed=passed,
        release=str(runs["release"]),
        driver=str(runs["driver"] or ""),
        at=round(time.time(), 3),
        text=text[:SMOKE_TEXT_MOST],
    )
    try:
        known = load_smoke_proofs(spec.paths.state)
    except BadInput:
        known = SmokeProofs()  # replaced by what is known now
    save_smoke_proofs(spec.paths.state, known.adding(proof))
    wake(spec.paths.run / PID_FILE)
    if as_json:
        print_json({"proof": proof.model_dump(mode="json"), "account": runs["account"]})
        return
    now = "is offered to every gateway" if passed else f"is offered to {runs['account']} alone"
    console().print(f"noted for release {proof.release}; the node {now}", markup=False)


def _runs(spec: "NodeSpec") -> dict[str, Any]:
    """What the agent says of itself. Raises OutsideWorld where none answers, BadInput where it waits for no job."""
    status = ask_status(spec)
    if status is None:
        raise OutsideWorld(f"no agent answers on {spec.monitoring.admin_listen}")
    found: dict[str, Any] | None = status.get("smoke")
    if found is None:
        raise BadInput(f"{spec.name} waits for no paid job: it has no `orchestrator.smoke_account`")
    return found
