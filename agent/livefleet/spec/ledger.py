"""Keeping books, and watching what the protocol does to an orchestrator."""

from pydantic import Field

from livefleet.spec.model import SpecModel

__all__ = ["LedgerDuty"]


class LedgerDuty(SpecModel):
    """Keep a double-entry ledger of what the orchestrator earns and spends, and compare it with the chain."""

    check_every_s: float = Field(default=3600.0, gt=0)
    """How often the books are carried forward and compared; also when a round begins. Takes about thirty requests."""

    begin_at: int | None = Field(default=None, ge=0)
    """The node's own (L2) block that new books begin at; an older one than the endpoints know the state of needs an
    archive endpoint. None: where the chain is at the first start. Changes nothing once books are there."""

    warn_margin_percent: int = Field(default=10, ge=0, le=100)
    """Warn when less than this percent of stake is above the cut-off of a full pool; its last place always warns."""

    stake_move_lpt: int = Field(default=1000, ge=0)
    """LPT that a delegator has to move for it to be news; 0: every move is."""
