from collections.abc import Sequence
from pathlib import Path

import pytest

from livefleet.kernel import Status
from livefleet.reconcile.resources import ModelOrdersResource
from livefleet.spec import ModelOrder, ModelOrders, ModelWish, Pipeline, save_model_orders

pytestmark = pytest.mark.unit

AWAY = ModelOrder(pipeline=Pipeline.LLM, model_id="a/b", wish=ModelWish.UNLOAD, since=1)
ONCE = AWAY.model_copy(update={"wish": ModelWish.LOAD, "since": 2.0, "incarnation": "this run"})


class Keeper:
    def __init__(self) -> None:
        self.told: list[Sequence[ModelOrder]] = []

    def follow(self, orders: Sequence[ModelOrder]) -> None:
        self.told.append(orders)


async def turn(resource: ModelOrdersResource) -> list[str]:
    plan = resource.plan(await resource.observe())
    for action in plan.actions:
        await resource.apply(action)
    return [f"{c.reason} {c.status}" for c in plan.conditions]


async def test_requests__are_told_once__until_they_change(tmp_path: Path):
    keeper = Keeper()
    resource = ModelOrdersResource(tmp_path, keeper, "this run")
    assert (await turn(resource), keeper.told) == ([], [])
    save_model_orders(tmp_path, ModelOrders(models=(AWAY,)))
    await turn(resource)
    await turn(resource)
    assert keeper.told == [(AWAY,)]
    save_model_orders(tmp_path, ModelOrders(models=(ONCE,)))
    await turn(resource)
    save_model_orders(tmp_path, ModelOrders())
    await turn(resource)
    assert keeper.told == [(AWAY,), (ONCE,), ()]


async def test_requests__of_an_earlier_run__are_not_told(tmp_path: Path):
    keeper = Keeper()
    save_model_orders(tmp_path, ModelOrders(models=(ONCE,)))
    await turn(ModelOrdersResource(tmp_path, keeper, "the next run"))
    assert keeper.told == []


async def test_requests__that_cannot_be_read__leave_what_was_told(tmp_path: Path):
    keeper = Keeper()
    resource = ModelOrdersResource(tmp_path, keeper, "this run")
    save_model_orders(tmp_path, ModelOrders(models=(AWAY,)))
    await turn(resource)
    (tmp_path / "model-orders.json").write_text("{")
    assert await turn(resource) == [f"RequestUnreadable {Status.FALSE}"]
    assert keeper.told == [(AWAY,)]
