"""What ETH is worth, from the answer of a price feed. Exact and pure."""

from fractions import Fraction
from typing import Final

from livefleet.chain.errors import FeedUnusable
from livefleet.chain.models import FeedAnswer
from livefleet.chain.signature import checksum_address
from livefleet.kernel import Address
from livefleet.spec import FeedSettings, Network, NetworkName

__all__ = ["feed_addresses", "wei_per_unit"]

ARBITRUM_ONE_PRICE_FEED: Final = Address("0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612")
"""Chainlink's ETH / USD on Arbitrum One."""

_ETHER: Final = 10**18


def feed_addresses(network: Network, settings: FeedSettings | None) -> tuple[Address, ...]:
    """The feeds to ask, the first one first; none where neither the spec nor the network names one."""
    first = settings.address if settings else None
    if first is None and network.name is NetworkName.ARBITRUM_ONE:
        first = ARBITRUM_ONE_PRICE_FEED
    second = settings.second if settings else None
    return tuple(checksum_address(bytes.fromhex(text[2:])) for text in (first, second) if text is not None)


def wei_per_unit(answer: FeedAnswer, currency: str) -> Fraction:
    """Wei that one unit of `currency` (`USD`) is worth.

    Raises FeedUnusable where the answer is not above zero, was never given, or is about other currencies.
    """
    pair = tuple(part.strip().upper() for part in answer.description.split("/"))
    if answer.answer <= 0:
        raise FeedUnusable("NotPositive", f"it answers {answer.answer}")
    if answer.updated_at <= 0:
        raise FeedUnusable("NoAnswer", "its round has no answer yet")
    if pair == ("ETH", currency.upper()):
        return Fraction(_ETHER * 10**answer.decimals, answer.answer)
    if pair == (currency.upper(), "ETH"):
        return Fraction(_ETHER * answer.answer, 10**answer.decimals)
    raise FeedUnusable("OtherPair", f"it is about {answer.description!r}, not ETH / {currency.upper()}")
