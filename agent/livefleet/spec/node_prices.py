"""The prices of a node: all of them, and how a running node takes over those of a newer spec.

Prices may change while a node runs; what reads the price feed, and everything else, needs a restart.
"""

from collections.abc import Iterator
from typing import Any, Final

from livefleet.spec.ai import ModelEntry
from livefleet.spec.declared_price import Currency, DeclaredPrice
from livefleet.spec.explain import dotted
from livefleet.spec.node import NodeSpec
from livefleet.spec.profile import Trail

__all__ = ["declared_prices", "needs_rate", "reprice", "restart_needed"]

_FIXED: Final = ("feed", "gas_window_s")  # of `prices`: what is built at start


def declared_prices(node: NodeSpec) -> Iterator[tuple[Trail, DeclaredPrice]]:
    """Every price of the node with its path."""
    yield ("prices", "video"), node.prices.video
    for address, price in node.prices.gateways.items():
        yield ("prices", "gateways", address), price
    for index, model in enumerate(node.models):
        yield ("models", index, "price"), model.price
        for address, price in (model.gateways or {}).items():
            yield ("models", index, "gateways", address), price


def needs_rate(node: NodeSpec) -> bool:
    """Whether some price is in US dollars."""
    return any(price.currency is Currency.USD for _, price in declared_prices(node))


def reprice(running: NodeSpec, newer: NodeSpec) -> NodeSpec:
    """`running` with every price of `newer` that can change while it runs. Models are matched by pipeline and id."""
    fixed = {name: getattr(running.prices, name) for name in _FIXED}
    prices = newer.prices.model_copy(update=fixed)
    told = {_id(model): model for model in newer.models}
    models = tuple(
        model.model_copy(update={"price": told[_id(model)].price, "gateways": told[_id(model)].gateways})
        if _id(model) in told
        else model
        for model in running.models
    )
    return running.model_copy(update={"prices": prices, "models": models})


def restart_needed(running: NodeSpec, newer: NodeSpec) -> tuple[str, ...]:
    """Dotted paths of what `newer` says otherwise and a restart is needed for. Empty: `reprice` makes them equal."""
    return tuple(dotted(path) for path in _differences(_plain(reprice(running, newer)), _plain(newer)))


def _id(model: ModelEntry) -> tuple[str, str]:
    return model.pipeline.value, model.model_id


def _plain(node: NodeSpec) -> dict[str, Any]:
    return node.model_dump(mode="json", exclude_none=True)


def _differences(here: Any, there: Any, path: Trail = ()) -> Iterator[Trail]:
    if isinstance(here, dict) and isinstance(there, dict):
        for key in [*here, *(key for key in there if key not in here)]:
            yield from _differences(here.get(key), there.get(key), (*path, key))
    elif here != there:
        yield path
