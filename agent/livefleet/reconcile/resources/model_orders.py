"""Models loaded and unloaded as operators ask, by the requests in the node's state folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from livefleet.kernel import BadInput, Condition, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec import ModelOrder, load_model_orders

__all__ = ["MODEL_ORDERS_TAKEN", "FollowOrders", "ModelKeeper", "ModelOrdersObserved", "ModelOrdersResource"]

MODEL_ORDERS_TAKEN: Final = "ModelOrdersTaken"

_LOOK_EVERY_S: Final = 1.0


class ModelKeeper(Protocol):
    """Whoever keeps the models (`livefleet.ai.AiPool`)."""

    def follow(self, orders: Sequence[ModelOrder]) -> None:
        """Go by these and no others. Saying it again changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ModelOrdersObserved:
    """What is asked, and what the keeper goes by."""

    orders: tuple[ModelOrder, ...]
    told: tuple[ModelOrder, ...]
    fault: str = ""  # why the file could not be read


@dataclass(frozen=True, slots=True)
class FollowOrders(Action):
    """Have the keeper go by them."""

    orders: tuple[ModelOrder, ...]


class ModelOrdersResource:
    """Keeps the models as asked. `incarnation`: of this run of the agent."""

    name = "model-orders"

    def __init__(self, state: Path, keeper: ModelKeeper, incarnation: str | None) -> None:
        self._state = state
        self._keeper = keeper
        self._incarnation = incarnation
        self._told: tuple[ModelOrder, ...] = ()

    async def observe(self) -> ModelOrdersObserved:
        """Read the requests; while they cannot be read, the ones before hold."""
        try:
            orders = tuple(load_model_orders(self._state).within(self._incarnation))
        except BadInput as error:
            return ModelOrdersObserved(self._told, self._told, str(error))
        return ModelOrdersObserved(orders, self._told)

    def plan(self, observed: ModelOrdersObserved) -> Plan:
        """Pure."""
        summary = "; ".join(f"{order.wish} {order.model_id} ({order.pipeline})" for order in observed.orders)
        is_news = observed.orders != observed.told
        return Plan(
            actions=(FollowOrders(summary or "models as declared", observed.orders),) if is_news else (),
            conditions=[_unreadable(observed.fault)] if observed.fault else [],
            again=Again(_LOOK_EVERY_S),
        )

    async def apply(self, action: Action) -> None:
        """Tell the keeper."""
        assert isinstance(action, FollowOrders)
        self._keeper.follow(action.orders)
        self._told = action.orders


def _unreadable(fault: str) -> Condition:
    text = f"{fault}; until that is put right the models stay as they were asked before"
    return Condition(MODEL_ORDERS_TAKEN, Status.FALSE, "RequestUnreadable", text, gates_ready=False)
