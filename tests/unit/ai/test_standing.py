import asyncio

import pytest

from livefleet.ai.demand import Demand
from livefleet.ai.order_book import OrderBook
from livefleet.ai.standing import Standing
from livefleet.ai.watch import RunnerState
from livefleet.spec import ModelOrder, ModelWish, Pipeline

pytestmark = pytest.mark.unit

AWAY = ModelOrder(pipeline=Pipeline.LLM, model_id="a/b", wish=ModelWish.UNLOAD, since=1, reason="new driver")


def a_standing(orders: OrderBook, told: list[str]) -> Standing:
    standing = Standing(
        RunnerState.LOST, orders=orders, on_change=lambda: told.append(f"{standing.state}: {standing.reason}")
    )
    return standing


def test_standing__a_fault__stands_until_it_answers():
    told: list[str] = []
    standing = a_standing(OrderBook(), told)
    standing.fails(RunnerState.LOST, "RunnerDied", "killed")
    standing.is_now(RunnerState.LOADING, "Loading", "loading")
    assert (standing.is_faulty, standing.message) == (True, "killed")
    standing.is_now(RunnerState.READY, "Answering", "loaded")
    assert (standing.is_faulty, standing.message) == (False, "loaded")
    assert told == ["lost: RunnerDied", "loading: RunnerDied", "ready: Answering"]


def test_standing__put_away__whatever_comes_of_its_process():
    orders, told = OrderBook(), []
    standing = a_standing(orders, told)
    standing.fails(RunnerState.HUNG, "Hung", "silent")
    orders.takes(AWAY)
    standing.is_put_away(is_busy=True)
    assert not standing.is_faulty
    standing.fails(RunnerState.LOST, "RunnerDied", "killed")
    standing.is_now(RunnerState.READY, "Answering", "loaded")
    assert (standing.state, standing.is_faulty) == (RunnerState.UNLOADED, False)
    assert standing.message == "unloaded by request (new driver), until `livefleet models load`; its last jobs end"
    orders.takes(AWAY.model_copy(update={"incarnation": "x", "reason": "", "since": 2.0}))
    standing.is_put_away(is_busy=False)
    assert standing.message == "unloaded by request, until the agent starts anew, or `livefleet models load`"


def test_standing__ready__ends_an_order_to_load():
    orders = OrderBook()
    orders.takes(AWAY.model_copy(update={"wish": ModelWish.LOAD}))
    a_standing(orders, []).is_now(RunnerState.READY, "Answering", "loaded in 3 s")
    snapshot = orders.snapshot()
    assert snapshot is not None
    assert (snapshot.state, snapshot.text) == ("done", "loaded in 3 s")


async def test_demand__who_waits__hears_of_the_end_also_when_it_was_dropped_meanwhile():
    demand = Demand(is_wanted=False)
    first = asyncio.ensure_future(demand.outcome(5))
    await asyncio.sleep(0)
    assert (demand.is_wanted, demand.waiting) == (True, 1)
    demand.drop()
    second = asyncio.ensure_future(demand.outcome(5))
    await asyncio.sleep(0)
    demand.ends()
    await asyncio.gather(first, second)
    assert demand.waiting == 0

    # The next load is another one.
    demand.drop()
    with pytest.raises(TimeoutError):
        await demand.outcome(0.01)
    assert demand.is_wanted
    await demand.arises()
