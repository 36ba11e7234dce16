"""An operator's request of one model: checked, left for the agent, and followed until it has come to an end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import click

from livefleet.cli.agent_drain import ask_status
from livefleet.cli.duration import duration
from livefleet.cli.models.agent_status import agent_pid, not_placed, runners_of
from livefleet.cli.models.declared import placed_model
from livefleet.cli.models.load_bar import LoadBar
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.kernel.incarnation import incarnation
from livefleet.spec import ModelOrder, ModelOrders, ModelWish, NodeSpec, load_model_orders, save_model_orders

__all__ = ["AS_JSON", "NO_WAIT", "PATIENCE", "Asked", "Ending", "order"]

_LOOK_S: Final = 0.25
_SILENCE_S: Final = 60.0  # of the admin endpoint, before it counts as gone

NO_WAIT = click.option("--no-wait", "no_wait", is_flag=True, help="Come back as soon as the request lies there.")
PATIENCE = click.option("--timeout", type=duration, default="30m", show_default=True, help="How long to wait at most.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


class Ending(StrEnum):
    """What has become of a request."""

    DONE = "done"
    FAILED = "failed"
    PENDING = "pending"  # nobody waited for its end, or not longer


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    pipeline: str
    model_id: str
    wish: ModelWish
    reason: str = ""
    until_restart: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    ending: Ending
    text: str
    runners: Sequence[dict[str, Any]] = field(default_factory=tuple)


def order(ctx: click.Context, node: Path, asked: Asked, *, patience_s: float, no_wait: bool, as_json: bool) -> None:
    """Leave the request for the agent and follow it. Raises BadInput, and OutsideWorld where the agent goes away."""
    spec, pipeline = placed_model(node, asked.pipeline, asked.model_id)
    state = spec.paths.state
    if not state.is_dir():
        raise BadInput(f"{state}: no such folder; the node has never run here")
    pid = agent_pid(spec)
    run = None if pid is None else incarnation(pid)
    # Loading is done once: a model that is declared cold is not to be loaded at every start from now on.
    is_for_this_run = asked.until_restart or asked.wish is ModelWish.LOAD
    if run is None and asked.until_restart:
        raise OutsideWorld("no agent runs, so there is nothing to unload until its restart; leave --until-restart out")
    one = ModelOrder(
        pipeline=pipeline,
        model_id=asked.model_id,
        wish=asked.wish,
        since=time.time(),
        incarnation=(run or "none") if is_for_this_run else None,
        reason=asked.reason[:500],
    )
    save_model_orders(state, _others(state).adding(one))
    if run is None:
        outcome = _Outcome(Ending.PENDING, f"no agent runs; {_WITHOUT_AGENT[asked.wish]}")
    elif no_wait:
        outcome = _Outcome(Ending.PENDING, "the agent takes it up within a second")
    else:
        with LoadBar(asked.model_id, quiet=as_json) as bar:
            outcome = _followed(spec, one, patience_s, bar.show)
    _tell(one, outcome, as_json=as_json, agent=run is not None)
    is_short = outcome.ending is Ending.FAILED or (outcome.ending is Ending.PENDING and run is not None and not no_wait)
    ctx.exit(ExitCode.PARTLY_FAILED if is_short else ExitCode.DONE)


_WITHOUT_AGENT: Final = {
    ModelWish.LOAD: "at its start it loads what is declared warm, and this model is not kept away any more",
    ModelWish.UNLOAD: "once one does, it keeps the model away",
}


def _others(state: Path) -> ModelOrders:
    try:
        return load_model_orders(state)
    except BadInput:
        return ModelOrders()  # replaced by what is asked now


def _followed(spec: NodeSpec, one: ModelOrder, patience_s: float, show: Callable[[dict[str, Any]], None]) -> _Outcome:
    """Until every runner of the model is done with it, one has failed, or time is up. Raises OutsideWorld."""
    until, heard = time.monotonic() + patience_s, time.monotonic()
    text = "the agent has not taken it up"
    while time.monotonic() < until:
        status = ask_status(spec)
        if status is None and time.monotonic() - heard > _SILENCE_S:
            raise OutsideWorld(f"no agent answers on {spec.monitoring.admin_listen} any more; the request stands")
        if status is not None:
            heard = time.monotonic()
            runners = runners_of(status, one.pipeline, one.model_id)
            if not runners and (why := not_placed(status, one.model_id)):
                return _Outcome(Ending.FAILED, why)
            mine = [runner for runner in runners if (runner.get("order") or {}).get("since") == one.since]
            endings = [runner["order"]["state"] for runner in mine]
            if Ending.FAILED in endings:
                return _Outcome(Ending.FAILED, mine[endings.index(Ending.FAILED)]["order"]["text"], mine)
            if mine and set(endings) == {Ending.DONE}:
                return _Outcome(Ending.DONE, mine[0]["order"]["text"], mine)
            for runner in mine:
                text = runner["message"]
                show(runner)
        time.sleep(_LOOK_S)
    return _Outcome(Ending.PENDING, f"not yet: {text}")


def _tell(one: ModelOrder, outcome: _Outcome, *, as_json: bool, agent: bool) -> None:
    if as_json:
        print_json({
            "model": one.model_id,
            "pipeline": one.pipeline.value,
            "wish": one.wish.value,
            "agent_runs": agent,
            "ending": outcome.ending.value,
            "text": outcome.text,
            "runners": list(outcome.runners),
        })  # fmt: skip
    else:
        out = console(stderr=outcome.ending is Ending.FAILED)
        out.print(f"{one.model_id} ({one.pipeline}): {outcome.text}", markup=False)
