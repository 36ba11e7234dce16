"""What work costs: by gateway, by model, raised by what redeeming costs.

Source: go-livepeer core/orchestrator.go priceInfo, PriceInfo.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from livefleet.kernel import Address, Refused
from livefleet.spec import NodeSpec

__all__ = ["PriceList", "adjusted", "fit_int64"]

_MAX_INT64 = 2**63 - 1
_STEPS_PER_WEI = 1000


@dataclass(frozen=True, slots=True)
class PriceList:
    """Declared prices, exact."""

    video: Fraction  # wei per pixel
    gateways: Mapping[str, Fraction]  # video price by lower-case address
    models: Mapping[tuple[str, str], Fraction]  # (pipeline, model id) -> wei per unit
    auto_adjust: bool = True

    @classmethod
    def of(cls, spec: NodeSpec) -> "PriceList":
        """The prices that a node declares."""
        return cls(
            video=spec.prices.video,
            gateways={address.lower(): price for address, price in spec.prices.gateways.items()},
            models={(entry.pipeline.value, entry.model_id): entry.price for entry in spec.models},
            auto_adjust=spec.prices.auto_adjust,
        )

    def base(self, sender: Address | None, models: Sequence[tuple[str, str]] = ()) -> Fraction:
        """The declared price: the sum over the models wanted, or the transcoding price where that is zero."""
        total = sum((self.models.get(model, Fraction(0)) for model in models), Fraction(0))
        if total:
            return total
        return self.video if sender is None else self.gateways.get(sender.lower(), self.video)

    def capability_prices(self) -> tuple[tuple[str, str, int], ...]:
        """(pipeline, model id, whole wei): the wire has one pixel per unit here, so fractions are lost."""
        return tuple((pipeline, model, int(price)) for (pipeline, model), price in self.models.items())


def adjusted(base: Fraction, tx_cost_multiplier: Fraction) -> Fraction:
    """`base` plus the share that redeeming a ticket takes, down to whole thousandths of a wei.

    `tx_cost_multiplier` is face value over transaction cost; zero (no cost known) adds nothing.
    """
    overhead = Fraction(1)
    if base > 0 and tx_cost_multiplier > 0:
        overhead += 1 / tx_cost_multiplier
    steps = int(base * overhead * _STEPS_PER_WEI)
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
