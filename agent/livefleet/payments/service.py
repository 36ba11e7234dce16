"""What the wire sees of payments: one facade, whether tickets are real or the node is off-chain."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from livefleet.kernel import Address, SessionId
from livefleet.payments.models import PaymentsSnapshot, Quote, ReceivedPayment
from livefleet.payments.pricing import PriceList

__all__ = ["Payments"]


class Payments(Protocol):
    """Quotes prices, takes tickets, keeps balances. Belongs to one event loop.

    A work request goes `receive` -> `require_balance` -> work -> `debit`.
    """

    @property
    def on_chain(self) -> bool:
        """False: nothing is quoted, checked or charged."""
        ...

    @property
    def recipient(self) -> Address:
        """Who is paid; the zero address off-chain."""
        ...

    async def quote(
        self,
        sender: Address | None,
        *,
        session: SessionId | None = None,
        models: Sequence[tuple[str, str]] = (),
        price: Fraction | None = None,
    ) -> Quote:
        """The price and ticket parameters for an OrchestratorInfo.

        `models` are the (pipeline, model id) pairs that the request's constraints name; empty: transcoding. A session
        with a fixed price is quoted that price. `price`: quote this one instead of all of ours, as it is.

        Raises Refused(`insufficient sender reserve`) and Transient while the chain was not seen yet.
        """
        ...

    def fixed_price(self, sender: Address, session: SessionId) -> Fraction | None:
        """The price that tickets bound for (sender, session), wei per unit; None where none did."""
        ...

    async def receive(self, payment: ReceivedPayment, session: SessionId) -> None:
        """Check a payment's tickets and credit the good ones to (sender, session).

        Winners, nonces and credit are on disk when it returns or raises. Raises Refused with status 400 and the
        protocol's text; credit of good tickets before the first bad one is kept.
        """
        ...

    def require_balance(self, payment: ReceivedPayment, session: SessionId, *, price: Fraction | None = None) -> None:
        """Refuse work that is not paid for: Refused(`Insufficient balance`), status 400.

        `price` is what the work wanted costs per unit, where the caller knows better than the transcoding price
        (AI models: `quote(...).price`).
        """
        ...

    def debit(
        self, payment: ReceivedPayment, session: SessionId, units: int, *, price: Fraction | None = None
    ) -> Fraction:
        """Charge `units` of finished work to (sender, session); the fee in wei. `price` as in require_balance."""
        ...

    def capability_prices(self, sender: Address | None) -> Sequence[tuple[str, str, int]]:
        """(pipeline, model id, whole wei per unit) for every priced model, as this gateway pays it."""
        ...

    def set_prices(self, prices: PriceList) -> None:
        """Quote these from now on. Sessions with a fixed price keep it."""
        ...

    def snapshot(self) -> PaymentsSnapshot:
        """Counts and sums for /status and metrics."""
        ...
