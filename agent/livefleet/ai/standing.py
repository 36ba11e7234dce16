"""What is told of a model: its state, why, and what befell it last."""

from collections.abc import Callable

from livefleet.ai.order_book import OrderBook
from livefleet.ai.watch import RunnerState

__all__ = ["Standing"]


class Standing:
    """One model's. A fault stands until the model answers; who puts the model away has the last word.

    `on_change` is called at once, whenever something is said.
    """

    def __init__(self, state: RunnerState, *, orders: OrderBook, on_change: Callable[[], None]) -> None:
        self.state = state
        self.reason = "NotStarted"
        self.message = "not started yet"
        self._orders = orders
        self._on_change = on_change
        self._fault: tuple[str, str] | None = None

    @property
    def is_faulty(self) -> bool:
        """Whether it was lost or silent, and has not answered since."""
        return self._fault is not None

    def is_now(self, state: RunnerState, reason: str, message: str) -> None:
        """It has come that far. `reason` is CamelCase, `message` for people."""
        if self._orders.is_put_away:
            self.is_put_away(is_busy=True)
            return
        if state is RunnerState.READY:
            self._fault = None
            self._orders.loaded(message)
        self._say(state, *(self._fault or (reason, message)))

    def fails(self, state: RunnerState, reason: str, message: str) -> None:
        """It has come to that by no will of anybody."""
        self._fault = (reason, message)
        self.is_now(state, reason, message)

    def is_put_away(self, *, is_busy: bool) -> None:
        """An operator has unloaded it, or its GPU gets no work. `is_busy`: its last jobs go on."""
        order, rest = self._orders.order, "; its last jobs end" if is_busy else ""
        self._fault = None
        if self._orders.aside:
            self._say(RunnerState.UNLOADED, "GpuSetAside", f"its GPU gets no work ({self._orders.aside}){rest}")
            return
        assert order is not None
        why = f" ({order.reason})" if order.reason else ""
        until = "the agent starts anew, or " if order.incarnation is not None else ""
        self._say(
            RunnerState.UNLOADED, "Unloaded", f"unloaded by request{why}, until {until}`livefleet models load`{rest}"
        )

    def _say(self, state: RunnerState, reason: str, message: str) -> None:
        self.state, self.reason, self.message = state, reason, message
        self._on_change()
