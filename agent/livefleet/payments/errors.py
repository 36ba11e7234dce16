"""What can go wrong with payments.

LivefleetError
|- Refused
|  |- InsufficientReserve   the sender's float does not carry a sensible ticket
|  `- BadPayment            a payment or ticket breaks a rule; `kind` is what metrics count it under
|- Transient
|  |- NoRate                a price is in US dollars, and what a dollar is worth is not known
|  |- NoTicketRound         no round with a block hash to make tickets in
|  |- LeavingActiveSet      what tickets of now would win could not be redeemed
|  `- StoreFailed           a write did not reach the disk
`- Terminal
   `- StoreUnusable         the file belongs to a newer version, another chain, or is no store
"""

from livefleet.kernel import Refused, Terminal, Transient

__all__ = [
    "BadPayment",
    "InsufficientReserve",
    "LeavingActiveSet",
    "NoRate",
    "NoTicketRound",
    "StoreFailed",
    "StoreUnusable",
]


class InsufficientReserve(Refused):
    """What the network says when a sender's reserve is too small for the tickets wanted."""

    def __init__(self) -> None:
        super().__init__("insufficient sender reserve")


class BadPayment(Refused):
    """A payment that is not, or not wholly, accepted. Always HTTP 400."""

    def __init__(self, text: str, *, kind: str) -> None:
        super().__init__(text, status=400)
        self.kind = kind


class NoRate(Transient):
    """No price feed has answered since the node was set up."""

    def __init__(self, why: str = "") -> None:
        tail = f": {why}" if why else ""
        super().__init__(f"prices in USD are declared, and no price feed gave a rate yet{tail}", retry_after_s=15.0)


class NoTicketRound(Transient):
    """Tickets need a round whose block hash the contract knows; wait for the next one."""

    def __init__(self, last_initialized_round: int) -> None:
        super().__init__(
            f"neither round {last_initialized_round} nor the one before has a block hash: no ticket of them could be "
            "redeemed; initialise a round",
            retry_after_s=15.0,
        )
        self.last_initialized_round = last_initialized_round


class LeavingActiveSet(Transient):
    """The round ends too soon for what tickets of now would win, and the recipient is not active in the next."""

    def __init__(self, parameters_end: int) -> None:
        super().__init__(
            f"this orchestrator leaves the active set with this round: since L1 block {parameters_end} it takes no "
            "tickets, which could not be redeemed",
            retry_after_s=60.0,
        )


class StoreFailed(Transient):
    """Nothing of that write is on disk, and nothing was acknowledged."""


class StoreUnusable(Terminal):
    """The store must not be written by this process."""
