"""Which models a command is about, and what their files are loaded as on this machine."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from livefleet.ai import Catalogue, Placement, Weights
from livefleet.hardware import read_snapshot
from livefleet.kernel import BadInput
from livefleet.roles.models import placed_models, weights_of
from livefleet.spec import ModelEntry, NodeSpec, Pipeline, load_node
from livefleet.spec.problem import did_you_mean

__all__ = ["NODE", "Declared", "as_owner", "declared_models", "placed_model"]

NODE = click.option(
    "--node",
    type=click.Path(dir_okay=False, path_type=Path),
    default="/etc/livefleet/node.yaml",
    show_default=True,
    help="The node's spec.",
)
"""The option that names the node."""


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Root writes as the user whose the node's state is, so that its agent can go on with it. Others as themselves."""
    owner = folder.stat() if os.geteuid() == 0 and folder.exists() else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


@dataclass(frozen=True, slots=True)
class Declared:
    """A node's models with the types that they are loaded as, in the spec's order."""

    spec: NodeSpec
    weights: Weights
    models: tuple[tuple[ModelEntry, str], ...]
    placed: tuple[Placement, ...]
    """Those that this host loads, where their device is there."""


def declared_models(node: Path, names: Sequence[str]) -> Declared:
    """The models of a node, or those of the given ids. Raises BadInput, SpecError."""
    spec = load_node(node)
    if spec.duties.ai is None:
        raise BadInput(f"{node}: no duty `ai`, so no model is loaded here")
    known = {model.model_id for model in spec.models}
    for name in names:
        if name not in known:
            raise BadInput(f"{node}: no model `{name}`; {did_you_mean(name, known)}".removesuffix("; "))
    catalogue = placed_models(spec, read_snapshot(time.time()))
    models = tuple((model, _dtype(model, catalogue)) for model in spec.models if not names or model.model_id in names)
    placed = tuple(placement for placement in catalogue.placed if not names or placement.entry.model_id in names)
    return Declared(spec, weights_of(spec, spec.duties.ai), models, placed)


def placed_model(node: Path, pipeline: str, model_id: str) -> tuple[NodeSpec, Pipeline]:
    """The spec, for a model that this host loads itself. Raises BadInput with what is declared instead."""
    spec = load_node(node)
    if spec.duties.ai is None:
        raise BadInput(f"{node}: no duty `ai`, so no model is loaded here")
    known = [name.value for name in Pipeline]
    if pipeline not in known:
        raise BadInput(f"no pipeline `{pipeline}`; {did_you_mean(pipeline, known)}".removesuffix("; "))
    of_pipeline = [model for model in spec.models if model.pipeline == pipeline]
    mine = [model for model in of_pipeline if model.model_id == model_id]
    if not mine:
        others = {model.model_id for model in of_pipeline}
        hint = did_you_mean(model_id, others) or f"declared are {', '.join(sorted(others)) or 'none'}"
        raise BadInput(f"{node}: no model `{model_id}` of {pipeline}; {hint}")
    if all(model.url is not None for model in mine):
        raise BadInput(f"{model_id}: served at {mine[0].url}, which loads and unloads it")
    if not any(model.is_local for model in mine):
        raise BadInput(f"{model_id}: served by workers; ask on the worker that has it")
    return spec, Pipeline(pipeline)


def _dtype(model: ModelEntry, catalogue: Catalogue) -> str:
    """What it is, or will be once its device is there."""
    placed = next((placement for placement in catalogue.placed if placement.entry is model), None)
    if placed is not None:
        return placed.dtype
    return "float16" if model.dtype == "auto" else model.dtype
