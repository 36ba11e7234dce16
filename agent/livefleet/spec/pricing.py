"""What work costs and what is asked of tickets, as declared."""

import re
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from livefleet.spec.declared_price import Currency, DeclaredPrice, Price, parse_money, parse_price
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = [
    "FeedSettings",
    "GatewayAddress",
    "Price",
    "Prices",
    "TicketSettings",
    "WeiAmount",
    "is_address",
    "parse_price",
    "parse_wei",
]

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")


def parse_wei(value: Any) -> int:
    """An amount as whole wei. Raises ValueError for fractions of a wei."""
    if isinstance(value, bool):
        raise ValueError("an amount is a number or a text such as '0.5 gwei'")  # noqa: TRY004 -- pydantic wants ValueError
    amount, currency = (Fraction(value), Currency.WEI) if isinstance(value, int) else parse_money(str(value))
    if currency is not Currency.WEI:
        raise ValueError(f"{value!r} is not an amount in wei; write wei, gwei or eth")
    if amount.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number of wei")
    return int(amount)


WeiAmount = Annotated[
    int, BeforeValidator(parse_wei), WithJsonSchema({"type": ["string", "integer"], "examples": ["8 gwei", 8000000000]})
]
"""Whole wei; `gwei` and `eth` understood."""


def is_address(text: str) -> bool:
    """Whether it is 0x and 40 hex digits."""
    return _ADDRESS.match(text) is not None


def _gateway_address(text: str) -> str:
    if not is_address(text):
        raise ValueError("a gateway is named by its address, 0x and 40 hex digits")
    return text


GatewayAddress = Annotated[str, AfterValidator(_gateway_address), WithJsonSchema({"type": "string"})]
"""A gateway's 0x address, any case."""


class TicketSettings(SpecModel):
    """What the orchestrator asks of tickets. Defaults are go-livepeer's."""

    expected_value: WeiAmount = 8_000_000_000
    """Expected value of one ticket, wei (`ticketEV`). Gateways refuse more than 3e12."""

    max_face_value: WeiAmount = 0
    """Upper limit of a ticket's face value, wei. 0: none."""

    redeem_gas: int | None = Field(default=None, gt=0)
    """Gas that redeeming one ticket is reckoned at. None: 1,200,000 on Arbitrum, 350,000 elsewhere."""


class FeedSettings(SpecModel):
    """Where the worth of ETH in US dollars is read, for prices in USD: feeds with Chainlink's interface."""

    address: EthAddress | None = None
    """The feed's contract; its description says `ETH / USD` or `USD / ETH`. None: the network's own
    (0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612 on arbitrum-one-mainnet); required on devchain for prices in USD."""

    second: EthAddress | None = None
    """A feed of another kind or operator, asked when the first fails, is stale or jumps. None: there is none."""

    max_age_s: int = Field(default=90_000, gt=0)
    """Seconds after which an answer is stale. The default is 25 hours: ETH/USD answers at least daily."""

    max_step_percent: int = Field(default=20, gt=0)
    """A change larger than this from one look to the next is used once a second feed or a later look confirms it."""

    poll_s: float = Field(default=60.0, gt=0)
    """The least time between two looks."""


class Prices(SpecModel):
    """What work costs. Takes effect on a running node without a restart, except `feed` and `gas_window_s`."""

    video: Price = DeclaredPrice(Fraction(0))
    """Price of an encoded pixel, for every gateway not named below, in wei, gwei, ETH or USD. 0 works for free."""

    gateways: dict[GatewayAddress, Price] = {}
    """Video price by gateway address, in place of `video`."""

    gateways_file: str | None = None
    """Further ones in go-livepeer's JSON (`pricePerGateway`), relative to this file; what `gateways` says wins. Hosts
    get its content, not the file."""

    auto_adjust: bool = True
    """Raise prices by the share that redeeming a ticket costs (go-livepeer's `autoAdjustPrice`)."""

    max_overhead_percent: int | None = Field(default=None, ge=0)
    """Upper limit of that share, percent of the price. None: there is none."""

    gas_window_s: int | None = Field(default=None, ge=0, le=86_400)
    """Quotes reckon with the median gas price of this many last seconds, so that a spike moves no price. None: 600. 0:
    with the gas price of now."""

    feed: FeedSettings | None = None
    """Where the worth of ETH in US dollars is read. None: the network's own feed."""
