"""What a node's environment carries, by what the node is to do: the extras of livefleet's own package."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from livefleet.kernel import BadInput
from livefleet.spec.node import NodeSpec
from livefleet.spec.roles import Role

__all__ = ["EXTRAS", "Extra", "extras_of", "missing_extras", "require_packages"]


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra of the package."""

    name: str
    why: str
    is_needed: Callable[[NodeSpec], bool]
    modules: tuple[str, ...]
    """By which an environment that has it is told from one that has not."""


def _signs_or_reads_a_chain(node: NodeSpec) -> bool:
    pays_or_is_paid = node.network.on_chain and node.role is Role.ORCHESTRATOR  # workers only work
    return pays_or_is_paid or bool(node.keys) or node.role in (Role.REDEEMER, Role.KEYKEEPER)


def _loads_models(node: NodeSpec) -> bool:
    return node.duties.ai is not None and any(model.is_local and model.url is None for model in node.models)


EXTRAS: Final = (
    Extra("node", "every node: its doors, its metrics, its GPUs", lambda _: True, ("grpc", "starlette", "sha3")),
    Extra(
        "media",
        "the duty `transcoding` decodes and encodes",
        lambda node: node.duties.transcoding is not None,
        ("av", "numpy"),
    ),
    Extra(
        "chain",
        "a chain is read and written, or a key signs; a node off-chain and without keys only hashes",
        _signs_or_reads_a_chain,
        ("web3", "coincurve"),
    ),
    Extra("store", "payments are kept in a shared database", lambda node: node.shared_store is not None, ("asyncpg",)),
    Extra("pull", "settings are read from a signed bundle", lambda node: node.pull is not None, ("tuf",)),
    Extra(
        "ai",
        "the duty `ai` loads a model here; one that a runner elsewhere serves (`url`) needs nothing",
        _loads_models,
        ("torch", "diffusers", "transformers"),
    ),
)
"""All of them. A node's environment has those that it needs."""


def extras_of(node: NodeSpec) -> frozenset[str]:
    """The names of those that the node needs."""
    return frozenset(extra.name for extra in EXTRAS if extra.is_needed(node))


def missing_extras(node: NodeSpec, is_there: Callable[[str], bool] | None = None) -> tuple[Extra, ...]:
    """Those that the node needs and this environment lacks, by whether modules of that name are there."""
    found = is_there or _is_there
    return tuple(extra for extra in EXTRAS if extra.is_needed(node) and not all(map(found, extra.modules)))


def require_packages(node: NodeSpec) -> None:
    """Raises BadInput where this environment lacks what the node needs, naming it."""
    missing = missing_extras(node)
    if missing:
        told = "; ".join(f"`{extra.name}`: {extra.why}" for extra in missing)
        raise BadInput(
            f"this installation of livefleet lacks packages that {node.name} needs ({told}): `livefleet apply` brings"
            f" them, or `pip install 'livefleet[{','.join(sorted(extras_of(node)))}]'`"
        )


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
