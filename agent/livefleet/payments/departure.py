"""Leaving the active set: what was won has to be redeemed before, since only an active recipient is paid. Pure.

A redemption shows recipientRand, so tickets are redeemed only once their parameters take no more tickets. Usually that
is when they expire, 40 L1 blocks after they were quoted. A recipient that leaves has less time, and so
1. parameters that it quotes from then on expire a margin before the round ends,
2. from that block on it quotes none, and closes those that it quoted before it knew, for good and on disk,
3. everything is redeemed at once, at whatever gas the tickets pay for.
"""

from dataclasses import dataclass
from enum import Enum

from livefleet.chain.models import ChainHead
from livefleet.kernel import BlockNumber, Round
from livefleet.payments.recipient import PARAMS_VALID_BLOCKS

__all__ = ["Departure", "DepartureKind", "PoolPlace", "blocks_to_the_end", "departure_of", "margin_blocks"]

_MOST_MARGIN = 25  # L1 blocks, five minutes: some for the redemptions, some for fees to be raised


class DepartureKind(Enum):
    """How sure it is."""

    LEAVING = "leaving"  # evicted or resigned: the contract has the round in which it stops
    AT_RISK = "at risk"  # last in a full pool: the next newcomer with more stake evicts it


@dataclass(frozen=True, slots=True)
class PoolPlace:
    """A recipient in the pool, at one block. Source: BondingManager."""

    activation_round: int
    deactivation_round: int  # 2**256 - 1 while nothing ends it
    is_last_of_full_pool: bool


@dataclass(frozen=True, slots=True)
class Departure:
    """The recipient may be active for this round only."""

    kind: DepartureKind
    round: Round  # the last one in which it is active
    at_block: BlockNumber  # L1 block from which it is not
    parameters_end: BlockNumber  # L1 block from which its parameters take no tickets

    @property
    def is_sure(self) -> bool:
        """Whether the contract has it so."""
        return self.kind is DepartureKind.LEAVING


def departure_of(place: PoolPlace, head: ChainHead) -> Departure | None:
    """Whether the recipient leaves with this round; None where it stays, or is not active now."""
    if not place.activation_round <= head.current_round < place.deactivation_round:
        return None
    if place.deactivation_round == head.current_round + 1:
        kind = DepartureKind.LEAVING
    elif place.is_last_of_full_pool:
        kind = DepartureKind.AT_RISK
    else:
        return None
    at_block = head.round_end_block
    return Departure(kind, head.current_round, at_block, BlockNumber(at_block - margin_blocks(head.round_length)))


def margin_blocks(round_length: int) -> int:
    """L1 blocks at the end of the last round that are left for redeeming."""
    return max(2, min(_MOST_MARGIN, round_length // 10))


def blocks_to_the_end(head: ChainHead) -> int:
    """L1 blocks until parameters that are quoted may outlive the time to redeem what they win; none or less: now."""
    return head.blocks_left_in_round - PARAMS_VALID_BLOCKS - 2 * margin_blocks(head.round_length)
