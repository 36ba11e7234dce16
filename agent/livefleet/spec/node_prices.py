"""The prices of a node, all of them."""

from collections.abc import Iterator

from livefleet.spec.declared_price import Currency, DeclaredPrice
from livefleet.spec.node import NodeSpec
from livefleet.spec.profile import Trail

__all__ = ["declared_prices", "needs_rate"]


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
