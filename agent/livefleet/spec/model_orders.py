"""What an operator asked of single models, as it stands in a node's state folder. A drain's requests lie beside it."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import Field

from livefleet.spec.ai import Pipeline
from livefleet.spec.model import SpecModel
from livefleet.spec.state_file import load_state_file, save_state_file

__all__ = ["MODEL_ORDERS_FILE", "ModelOrder", "ModelOrders", "ModelWish", "load_model_orders", "save_model_orders"]

MODEL_ORDERS_FILE: Final = "model-orders.json"


class ModelWish(StrEnum):
    """What shall become of a model."""

    LOAD = "load"
    UNLOAD = "unload"


class ModelOrder(SpecModel):
    """One request, of one model. It replaces an earlier one of the same model."""

    pipeline: Pipeline
    """The model's pipeline: an id may be served by several."""

    model_id: str = Field(min_length=1)
    """As declared."""

    wish: ModelWish
    """`load`: have it loaded now, whatever was asked before. `unload`: end its process, and offer it to nobody."""

    since: float
    """Unix seconds of the request, which tell it from an earlier one."""

    incarnation: str | None = None
    """The run of the agent that the request is for. None: every run, until another request replaces it."""

    reason: str = Field(default="", max_length=500)
    """Why, for whoever looks at the node meanwhile."""

    def is_of(self, pipeline: Pipeline, model_id: str) -> bool:
        """Whether it is about that model."""
        return (self.pipeline, self.model_id) == (pipeline, model_id)


class ModelOrders(SpecModel):
    """All that is asked at present."""

    models: tuple[ModelOrder, ...] = ()
    """At most one a model."""

    def adding(self, order: ModelOrder) -> "ModelOrders":
        """With one more, in place of an earlier one of the same model."""
        others = (one for one in self.models if not one.is_of(order.pipeline, order.model_id))
        return ModelOrders(models=(*others, order))

    def within(self, incarnation: str | None) -> Sequence[ModelOrder]:
        """Those that hold in this run of the agent."""
        return [order for order in self.models if order.incarnation in {None, incarnation}]


def load_model_orders(state: Path) -> ModelOrders:
    """What is asked. Raises BadInput where a request is there and cannot be read."""
    return load_state_file(state / MODEL_ORDERS_FILE, ModelOrders) or ModelOrders()


def save_model_orders(state: Path, orders: ModelOrders) -> None:
    """Put the requests in place of the earlier ones. Raises BadInput where this user may not."""
    save_state_file(state / MODEL_ORDERS_FILE, orders if orders.models else None)
