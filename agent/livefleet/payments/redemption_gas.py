"""What redemptions cost in gas, learnt from what they did cost.

Estimates of single redemptions are today's: they contain Arbitrum's L1 part and the reserve claim of that ticket. A
batch is reckoned from its members' estimates, since the node's own estimate of a batch starves its last ticket.
"""

from collections.abc import Sequence

__all__ = ["RedemptionGas", "batch_gas_limit", "single_gas_limit"]

_BATCH_ONCE = 0.62  # of a single estimate, paid once a batch; 118,000 of 190,000 gas on a local chain
_BATCH_EACH = 0.42  # of a single estimate, for each ticket; 79,000 of 190,000
_LEARN = 0.3  # weight of the newest receipt

_INTRINSIC = 21_000  # gas that every transaction begins with; a batch does so once
_MARGIN_PERCENT = 125  # Arbitrum's L1 part moves between estimate and inclusion
_LOOP = 60_000  # the batch's own copying and calling
_CLAIM = 100_000  # a reserve claim that a ticket's own estimate did not see, since the deposit sufficed for it alone


class RedemptionGas:
    """Predicts gas used. Only chooses between single and batch and judges cost; limits are not its business."""

    def __init__(self) -> None:
        self._single = 1.0  # gas used over gas estimated
        self._batch = 1.0  # gas used over what the shape above says
        self.last_single: int | None = None
        """Gas that the last single redemption used."""
        self.last_batch: tuple[int, int] | None = None
        """Tickets and gas of the last batch."""

    def single(self, estimate: int) -> int:
        """Gas that one redemption will use."""
        return round(estimate * self._single)

    def batch(self, estimates: Sequence[int]) -> int:
        """Gas that redeeming these together will use."""
        return round(_shape(estimates) * self._batch)

    def learn(self, estimates: Sequence[int], used: int) -> None:
        """A transaction over tickets with these estimates was mined and did what it should."""
        if len(estimates) == 1:
            self.last_single = used
            self._single += _LEARN * (used / estimates[0] - self._single)
        else:
            self.last_batch = len(estimates), used
            self._batch += _LEARN * (used / _shape(estimates) - self._batch)


def single_gas_limit(estimate: int) -> int:
    """The gas limit of a single redemption."""
    return estimate * _MARGIN_PERCENT // 100


def batch_gas_limit(estimates: Sequence[int], *, claims: int) -> int:
    """The gas limit of a batch, `claims` of whose tickets take from the reserve.

    Every ticket runs as a call of its own that gets 63/64 of what is left, and its failure is swallowed: too little gas
    loses the last ticket's turn and reports success. What is not used is not paid.
    """
    needed = sum(estimates) - _INTRINSIC * (len(estimates) - 1)
    return needed * _MARGIN_PERCENT // 100 + _LOOP + _CLAIM * claims


def _shape(estimates: Sequence[int]) -> float:
    mean = sum(estimates) / len(estimates)
    return mean * (_BATCH_ONCE + _BATCH_EACH * len(estimates))
