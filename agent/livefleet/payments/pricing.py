"""What work costs: by gateway, by model, raised by what redeeming costs.

Source: go-livepeer core/orchestrator.go priceInfo, PriceInfo.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from livefleet.kernel import Address, Refused
from livefleet.payments.errors import NoRate
from livefleet.spec import Currency, DeclaredPrice, NodeSpec

__all__ = ["PriceList", "adjusted", "fit_int64", "in_wei"]

_MAX_INT64 = 2**63 - 1
_STEPS_PER_WEI = 1000


@dataclass(frozen=True, slots=True)
class PriceList:
    """Declared prices in wei, exact. Addresses are lower-case."""

    video: Fraction  # wei per pixel
    gateways: Mapping[str, Fraction]  # video price by address
    models: Mapping[tuple[str, str], Fraction]  # (pipeline, model id) -> wei per unit
    auto_adjust: bool = True
    gateway_models: Mapping[tuple[str, str, str], Fraction] = field(default_factory=dict)  # (address, pipeline, model)
    max_overhead: Fraction | None = None  # share of the price that redeeming may add; None: any

    @classmethod
    def of(cls, spec: NodeSpec, wei_per_usd: Fraction | None = None) -> "PriceList":
        """The prices that a node declares. Raises NoRate where one is in US dollars and no rate is given."""
        percent = spec.prices.max_overhead_percent
        return cls(
            video=in_wei(spec.prices.video, wei_per_usd),
            gateways={address.lower(): in_wei(price, wei_per_usd) for address, price in spec.prices.gateways.items()},
            models={(entry.pipeline.value, entry.model_id): in_wei(entry.price, wei_per_usd) for entry in spec.models},
            auto_adjust=spec.prices.auto_adjust,
            gateway_models={
                (address.lower(), entry.pipeline.value, entry.model_id): in_wei(price, wei_per_usd)
                for entry in spec.models
                for address, price in (entry.gateways or {}).items()
            },
            max_overhead=None if percent is None else Fraction(percent, 100),
        )

    def base(self, sender: Address | None, models: Sequence[tuple[str, str]] = ()) -> Fraction:
        """The declared price: the sum over the models wanted, or the transcoding price where that is zero."""
        total = sum((self.model(sender, model) for model in models), Fraction(0))
        if total:
            return total
        return self.video if sender is None else self.gateways.get(sender.lower(), self.video)

    def model(self, sender: Address | None, model: tuple[str, str]) -> Fraction:
        """One model's price for a gateway; zero where it has none."""
        common = self.models.get(model, Fraction(0))
        return common if sender is None else self.gateway_models.get((sender.lower(), *model), common)

    def asked(self, base: Fraction, *, face_value: int, tx_cost: int) -> Fraction:
        """What is quoted for `base` when a ticket pays `face_value` and redeeming it costs `tx_cost`."""
        if not self.auto_adjust or not base:
            return base
        multiplier = Fraction(face_value, tx_cost) if tx_cost > 0 else Fraction(0)
        return adjusted(base, multiplier, max_overhead=self.max_overhead)

    def capability_prices(self, sender: Address | None = None) -> tuple[tuple[str, str, int], ...]:
        """(pipeline, model id, whole wei): the wire has one pixel per unit here, so fractions are lost."""
        return tuple((*model, int(self.model(sender, model))) for model in self.models)


def in_wei(price: DeclaredPrice, wei_per_usd: Fraction | None) -> Fraction:
    """A declared price in wei. Raises NoRate for US dollars without a rate."""
    if price.currency is Currency.WEI or not price.amount:
        return price.amount
    if wei_per_usd is None:
        raise NoRate
    return price.amount * wei_per_usd


def adjusted(base: Fraction, tx_cost_multiplier: Fraction, *, max_overhead: Fraction | None = None) -> Fraction:
    """`base` plus the share that redeeming a ticket takes, down to whole thousandths of a wei.

    `tx_cost_multiplier` is face value over transaction cost; zero (no cost known) adds nothing.
    """
    overhead = Fraction(0)
    if base > 0 and tx_cost_multiplier > 0:
        overhead = 1 / tx_cost_multiplier
    if max_overhead is not None:
        overhead = min(overhead, max_overhead)
    steps = int(base * (1 + overhead) * _STEPS_PER_WEI)
    return Fraction(min(steps, _MAX_INT64), _STEPS_PER_WEI)


def fit_int64(price: Fraction) -> Fraction:
    """A price whose two numbers fit the wire; floored to whole wei where they do not.

    Raises Refused(`price cannot be converted to int64`) where even that is too large.
    """
    if price.numerator <= _MAX_INT64 and price.denominator <= _MAX_INT64:
        return price
    whole = int(price)
    if whole > _MAX_INT64:
        raise Refused("price cannot be converted to int64")
    return Fraction(whole)
