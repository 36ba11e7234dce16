"""When rounds begin and tickets end, in L1 blocks."""

from dataclasses import dataclass

from livefleet.kernel import BlockNumber, Round

__all__ = ["RoundTimes"]


@dataclass(frozen=True, slots=True)
class RoundTimes:
    """The protocol's clock as one look at the chain found it. Governance may change all of it but the round.

    Source: RoundsManager, TicketBroker.ticketValidityPeriod.
    """

    round: Round  # by time, initialised or not
    start_block: BlockNumber  # its first L1 block
    length: int  # L1 blocks in a round
    validity: int  # rounds in which a ticket can be redeemed, its creation round included

    def begins(self, round_: int) -> BlockNumber:
        """The first L1 block of a round, as long as no length changes."""
        return BlockNumber(self.start_block + (round_ - self.round) * self.length)

    def ends(self, creation_round: Round) -> BlockNumber:
        """The first L1 block at which tickets of that round are refused as expired."""
        return self.begins(creation_round + self.validity)

    def is_past(self, creation_round: Round, current_round: Round) -> bool:
        """Whether tickets of that round are expired in `current_round`."""
        return creation_round + self.validity <= current_round
