"""What a price depends on beside the spec: given by the operator, else asked from the chain that the spec declares."""

import time
from dataclasses import dataclass
from fractions import Fraction

from livefleet.chain import (
    ChainClient,
    ChainWatcher,
    PriceFeed,
    checksum_address,
    connect,
    feed_addresses,
    wei_per_unit,
)
from livefleet.kernel import Address, BadInput, LivefleetError, Wei
from livefleet.payments.price_rate import RateLimits
from livefleet.payments.sender_monitor import max_float
from livefleet.spec import NodeSpec, needs_rate

__all__ = ["Facts", "gather"]

_PLENTY = "the gateway's reserve was not asked, so it bounds nothing"


@dataclass(frozen=True, slots=True)
class Facts:
    """Each number, and in words where it is from."""

    gas_price: Wei
    gas_from: str
    wei_per_usd: Fraction | None = None
    rate_from: str = ""
    max_float: int | None = None
    float_from: str = _PLENTY
    warnings: tuple[str, ...] = ()


async def gather(
    node: NodeSpec,
    *,
    key_address: str | None,
    gateway: Address | None,
    gas_price: int | None,
    usd_per_eth: Fraction | None,
    needs_usd: bool,
) -> Facts:
    """Ask for what is missing. Raises BadInput, Transient, WrongChain, FeedUnusable."""
    given_rate = None if usd_per_eth is None else 10**18 / usd_per_eth
    wants_rate = given_rate is None and (needs_usd or needs_rate(node))
    if gas_price is not None and not wants_rate:
        return Facts(Wei(gas_price), "as given", given_rate, "as given")
    async with await connect(node.network) as client:
        settings = node.orchestrator
        recipient = (settings.recipient if settings else None) or key_address
        watcher = ChainWatcher(client, recipient=_checksum(recipient or "0x" + "00" * 20))
        head = await watcher.look()
        limit, float_from = None, _PLENTY
        if gateway is not None and recipient is not None:
            limit = max_float(await watcher.sender_info(_checksum(gateway)), head.pool_size, Wei(0))
            float_from = f"the gateway is good for {limit} wei now"
        nothing: tuple[str, ...] = ()
        rate, rate_from, warnings = await _rate(client, node) if wants_rate else (given_rate, "as given", nothing)
        return Facts(
            gas_price=Wei(gas_price if gas_price is not None else head.gas_price),
            gas_from="as given"
            if gas_price is not None
            else "of now; a node reckons with the median of the last minutes",
            wei_per_usd=rate,
            rate_from=rate_from,
            max_float=limit,
            float_from=float_from,
            warnings=warnings,
        )


async def _rate(client: ChainClient, node: NodeSpec) -> tuple[Fraction, str, tuple[str, ...]]:
    """The first feed that answers; warnings where a running node would not use it."""
    feeds = feed_addresses(node.network, node.prices.feed)
    if not feeds:
        raise BadInput(f"no price feed is declared for {node.network.name}; give prices.feed.address or --eth-usd")
    limits = RateLimits.of(node.prices.feed)
    warnings: list[str] = []
    for address in feeds:
        try:
            answer = await PriceFeed(client.rpc, address).latest()
            rate = wei_per_unit(answer, "USD")
        except LivefleetError as error:
            if address == feeds[-1]:
                raise
            warnings.append(f"feed {address}: {error}")
            continue
        age_s = max(int(time.time()) - answer.updated_at, 0)
        if age_s > limits.max_age_s:
            warnings.append(f"the feed's answer is stale ({age_s} s): a node would use its last good one")
        return rate, f"{answer.description!r} of {address}, {age_s} s old", tuple(warnings)
    raise AssertionError("unreachable: the last feed answers or raises")


def _checksum(address: str) -> Address:
    return checksum_address(bytes.fromhex(address[2:]))
