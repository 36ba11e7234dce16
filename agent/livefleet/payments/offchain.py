"""Payments of a node without a chain: nothing is quoted, checked or charged."""

from collections.abc import Sequence
from fractions import Fraction

from livefleet.kernel import ZERO_ADDRESS, Address, SessionId, Wei
from livefleet.payments.models import PaymentsSnapshot, Quote, ReceivedPayment, TicketCount
from livefleet.payments.pricing import PriceList

__all__ = ["OffchainPayments"]


class OffchainPayments:
    """The Payments of an off-chain orchestrator: any payment is fine."""

    on_chain = False
    recipient = ZERO_ADDRESS

    async def quote(
        self,
        sender: Address | None,
        *,
        session: SessionId | None = None,
        models: Sequence[tuple[str, str]] = (),
        price: Fraction | None = None,
    ) -> Quote:
        """Neither a price, unless the caller knows one, nor ticket parameters."""
        return Quote(price, None)

    def fixed_price(self, sender: Address, session: SessionId) -> Fraction | None:
        """Nothing is bound."""
        return None

    async def receive(self, payment: ReceivedPayment, session: SessionId) -> None:
        """Accept."""

    def require_balance(self, payment: ReceivedPayment, session: SessionId, *, price: Fraction | None = None) -> None:
        """Accept."""

    def debit(
        self, payment: ReceivedPayment, session: SessionId, units: int, *, price: Fraction | None = None
    ) -> Fraction:
        """Charge nothing."""
        return Fraction(0)

    def capability_prices(self, sender: Address | None) -> Sequence[tuple[str, str, int]]:
        """None are told."""
        return ()

    def set_prices(self, prices: PriceList) -> None:
        """Nothing is quoted."""

    def snapshot(self) -> PaymentsSnapshot:
        """Nothing came in."""
        nothing = TicketCount()
        return PaymentsSnapshot(
            on_chain=False,
            recipient=self.recipient,
            price=Fraction(0),
            received=nothing,
            won=nothing,
            pending=nothing,
            redeemed=nothing,
            lost=nothing,
            paid=Wei(0),
            refused={},
            balances=0,
            senders=(),
            credit=Fraction(0),
            store_fault="",
        )
