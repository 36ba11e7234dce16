"""`livefleet models unload`: a model's memory back, and the model offered to nobody."""

from pathlib import Path

import click

from livefleet.cli.models.declared import NODE
from livefleet.cli.models.order import AS_JSON, NO_WAIT, PATIENCE, Asked, order
from livefleet.spec import ModelWish

__all__ = ["command"]


@click.command("unload")
@click.argument("pipeline")
@click.argument("model_id")
@NODE
@click.option("--until-restart", is_flag=True, help="Forget the request when the agent starts anew.")
@click.option("--reason", default="", metavar="TEXT", help="Why; shown wherever the node tells how it is.")
@NO_WAIT
@PATIENCE
@AS_JSON
@click.pass_context
def command(
    ctx: click.Context,
    pipeline: str,
    model_id: str,
    node: Path,
    *,
    until_restart: bool,
    reason: str,
    no_wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """End the process of the model MODEL_ID of PIPELINE, and wait until its memory is free.

    Gateways are not told of it from now on. Its running jobs are finished first. It stays away, whatever is declared
    and whoever asks, also after a restart of the agent and of the machine, until `livefleet models load`. Exit code 1:
    jobs went on for longer than the timeout; 2: wrong input; 3: no agent, or it went away.
    """
    asked = Asked(pipeline, model_id, ModelWish.UNLOAD, reason, until_restart)
    order(ctx, node, asked, patience_s=timeout, no_wait=no_wait, as_json=as_json)
