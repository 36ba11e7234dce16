import pytest

from livefleet.ai.load_progress import LoadProgress
from livefleet.ai.order_book import OrderBook
from livefleet.ai.residency import Need
from livefleet.ai.runner_line import LoadStep
from livefleet.spec import ModelOrder, ModelWish, Pipeline

pytestmark = pytest.mark.unit

LOAD = ModelOrder(pipeline=Pipeline.LLM, model_id="a/b", wish=ModelWish.LOAD, since=1, incarnation="x")
UNLOAD = ModelOrder(pipeline=Pipeline.LLM, model_id="a/b", wish=ModelWish.UNLOAD, since=2, reason="new driver")


def told(book: OrderBook) -> tuple[str, str]:
    snapshot = book.snapshot()
    assert snapshot is not None
    return snapshot.state, snapshot.text


def test_order__the_same_again__is_no_news():
    book = OrderBook()
    assert (book.snapshot(), book.is_put_away, book.takes(None)) == (None, False, False)
    assert (book.takes(UNLOAD), book.takes(UNLOAD), book.is_put_away) == (True, False, True)
    assert (book.takes(None), book.is_put_away) == (True, False)


def test_order__to_load__ends_by_what_comes_of_the_first_load_alone():
    book = OrderBook()
    book.takes(LOAD)
    book.unloaded("gone")
    assert told(book) == ("pending", "")
    book.not_loaded("no room")
    book.loaded("there after all")
    assert told(book) == ("failed", "no room")
    book.takes(LOAD.model_copy(update={"since": 3.0}))
    book.loaded("there")
    book.not_loaded("lost later")
    assert told(book) == ("done", "there")


def test_order__to_unload__is_not_ended_by_loads():
    book = OrderBook()
    book.takes(UNLOAD)
    book.loaded("there")
    book.not_loaded("lost")
    assert told(book) == ("pending", "")
    book.unloaded("gone")
    snapshot = book.snapshot()
    assert snapshot is not None
    assert (snapshot.wish, snapshot.since, snapshot.until_restart, snapshot.reason) == (
        "unload",
        2,
        False,
        "new driver",
    )
    assert told(book) == ("done", "gone")


def test_progress__of_a_load__its_steps_and_times():
    now, need = 10.0, Need(1, 8.0, is_estimate=False)
    progress = LoadProgress(lambda: now)
    assert progress.snapshot(need) is None
    progress.waits_for(LoadStep.WEIGHTS)
    now = 13.0
    progress.waits_for(LoadStep.WEIGHTS)
    weights = progress.snapshot(need)
    assert weights is not None
    assert (weights.step, weights.step_s, weights.elapsed_s, weights.expected_s) == ("weights", 3.0, 0.0, 8.0)
    progress.starts()
    now = 15.0
    assert progress.snapshot(need).step == "process"
    progress.goes_by(lambda: LoadStep.PROOF)
    proof = progress.snapshot(need)
    assert (proof.step, proof.elapsed_s, proof.is_measured, progress.started) == ("proof", 2.0, True, 13.0)
    progress.ends()
    assert (progress.snapshot(need), progress.loading_for_s()) == (None, 0.0)
