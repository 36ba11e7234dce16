"""`livefleet models load`: a declared model, warm now."""

from pathlib import Path

import click

from livefleet.cli.models.declared import NODE
from livefleet.cli.models.order import AS_JSON, NO_WAIT, PATIENCE, Asked, order
from livefleet.spec import ModelWish

__all__ = ["command"]


@click.command("load")
@click.argument("pipeline")
@click.argument("model_id")
@NODE
@NO_WAIT
@PATIENCE
@AS_JSON
@click.pass_context
def command(
    ctx: click.Context, pipeline: str, model_id: str, node: Path, *, no_wait: bool, timeout: float, as_json: bool
) -> None:
    """Have the declared model MODEL_ID of PIPELINE loaded now, and wait until it is warm.

    A model that is declared cold is loaded without waiting for a request, and gives way to others as always. One that
    was unloaded by `livefleet models unload` is offered again; one that waits after a failure is tried at once. Idle
    models may have to give way to it. Exit code 1: it could not be loaded (no room, no files, or it does not work), or
    not in time; 2: wrong input; 3: the agent went away.
    """
    asked = Asked(pipeline, model_id, ModelWish.LOAD)
    order(ctx, node, asked, patience_s=timeout, no_wait=no_wait, as_json=as_json)
