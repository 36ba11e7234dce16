"""An operator's request of a model, and what has become of it."""

from dataclasses import dataclass
from enum import StrEnum

from livefleet.spec import ModelOrder, ModelWish

__all__ = ["OrderBook", "OrderSnapshot", "OrderState"]


class OrderState(StrEnum):
    """How far a request is."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """The last request of a model."""

    wish: str  # load, unload
    since: float  # unix seconds; tells it from an earlier one
    until_restart: bool  # it is forgotten with this run of the agent
    reason: str  # the operator's words
    state: str  # pending, done, failed
    text: str  # how it is, or why it failed


class OrderBook:
    """The request that one model follows at present, if there is one, and whether its GPU may work at all."""

    def __init__(self) -> None:
        self.order: ModelOrder | None = None
        self.aside = ""
        """Why its GPU gets no work; empty while it does. It comes before any request."""

        self._state = OrderState.DONE
        self._text = ""

    @property
    def is_put_away(self) -> bool:
        """Whether it shall not be offered."""
        return bool(self.aside) or (self.order is not None and self.order.wish is ModelWish.UNLOAD)

    def takes(self, order: ModelOrder | None) -> bool:
        """Follow `order` from now on; whether that is news."""
        if order == self.order:
            return False
        self.order, self._state, self._text = order, OrderState.PENDING, ""
        return True

    def loaded(self, text: str) -> None:
        """The model is there."""
        self._ends(ModelWish.LOAD, OrderState.DONE, text)

    def not_loaded(self, why: str) -> None:
        """It could not be had; whatever is tried later, this is the answer to the request."""
        self._ends(ModelWish.LOAD, OrderState.FAILED, why)

    def unloaded(self, text: str) -> None:
        """The model is gone, and its memory is free."""
        self._ends(ModelWish.UNLOAD, OrderState.DONE, text)

    def snapshot(self) -> OrderSnapshot | None:
        """For operators."""
        if self.order is None:
            return None
        return OrderSnapshot(
            wish=self.order.wish.value,
            since=self.order.since,
            until_restart=self.order.incarnation is not None,
            reason=self.order.reason,
            state=self._state.value,
            text=self._text,
        )

    def _ends(self, wish: ModelWish, state: OrderState, text: str) -> None:
        if self.order is not None and self.order.wish is wish and self._state is OrderState.PENDING:
            self._state, self._text = state, text
