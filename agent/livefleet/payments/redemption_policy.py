"""How much redeeming may cost, how long it may wait, and what goes together."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from livefleet.kernel import Wei
from livefleet.spec import BatchMode, RedemptionDuty

__all__ = ["RedemptionPolicy"]


@dataclass(frozen=True, slots=True)
class RedemptionPolicy:
    """The operator's word, in the chain's units."""

    max_gas_price: Wei = Wei(0)  # wei per gas while time is left; 0: none
    max_cost_share: Fraction = Fraction(1, 4)  # of what a ticket pays, that gas may take while time is left
    urgent_before: int = 600  # L1 blocks before a ticket's last moment from which patience is over
    urgent_max_gas_price: Wei = Wei(0)  # wei per gas from then on; 0: what the ticket pays is the limit
    batch: BatchMode = BatchMode.AUTO
    max_batch: int = 20  # tickets in one transaction
    collect_s: float = 120.0  # how long a ticket waits for others that are about to be due
    collect_blocks: int = 10  # the same in L1 blocks: those whose parameters expire within it are waited for
    in_flight: int = 4  # transactions at a time
    l1_block_s: float = 12.0  # seconds that an L1 block takes

    @classmethod
    def of(cls, duty: RedemptionDuty, *, l1_block_s: float) -> Self:
        """As declared. `l1_block_s`: seconds that an L1 block takes."""
        return cls(
            max_gas_price=Wei(duty.max_gas_price),
            max_cost_share=Fraction(duty.max_cost_percent, 100),
            urgent_before=max(1, round(duty.urgent_before_s / l1_block_s)),
            urgent_max_gas_price=Wei(duty.urgent_max_gas_price),
            batch=duty.batch,
            max_batch=duty.max_batch,
            collect_s=duty.collect_s,
            collect_blocks=round(duty.collect_s / l1_block_s),
            l1_block_s=l1_block_s,
        )

    def is_urgent(self, blocks_left: int, round_length: int) -> bool:
        """Whether so few L1 blocks are too few to wait for cheaper gas. Half a round is enough, however short it is."""
        return blocks_left <= min(self.urgent_before, round_length // 2)

    def price_ceiling(self, *, urgent: bool) -> Wei:
        """Wei per gas; 0: none."""
        return self.urgent_max_gas_price if urgent else self.max_gas_price

    def cost_ceiling(self, paid: int, *, urgent: bool) -> int:
        """Wei that gas may take of a redemption that pays `paid`: always less, so that none is at a loss."""
        most = max(0, paid - 1)
        return most if urgent else min(most, int(paid * self.max_cost_share))
