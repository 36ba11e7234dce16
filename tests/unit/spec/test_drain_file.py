"""Drain requests as a file: durable, private, added to and taken back."""

import stat

import pytest

from livefleet.kernel import BadInput
from livefleet.spec import DrainOrder, DrainOrders, DrainReport, DrainScope, DrainState, load_drain, save_drain

pytestmark = pytest.mark.unit

NODE = DrainOrder(since=100.0, deadline_s=60.0, reason="disk")
GPU = DrainOrder(since=110.0, deadline_s=0)


def test_save__requests__come_back_and_are_private(tmp_path):
    orders = DrainOrders().adding(NODE).adding(GPU, ["GPU-1", "GPU-2"])
    save_drain(tmp_path, orders)
    (file,) = tmp_path.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("drain.json", 0o600)
    assert load_drain(tmp_path) == orders


def test_save__nothing_left__no_file_is_left(tmp_path):
    save_drain(tmp_path, DrainOrders(node=NODE))
    save_drain(tmp_path, load_drain(tmp_path).without())
    assert list(tmp_path.iterdir()) == []
    assert load_drain(tmp_path) == DrainOrders()
    save_drain(tmp_path, DrainOrders())


def test_without__a_device__leaves_the_others():
    orders = DrainOrders(node=NODE).adding(GPU, ["GPU-1", "GPU-2"])
    assert orders.without(["GPU-1"]) == DrainOrders(node=NODE, devices={"GPU-2": GPU})
    assert orders.without() == DrainOrders()


def test_adding__again__replaces_the_earlier_request():
    later = NODE.model_copy(update={"since": 500.0})
    assert DrainOrders(node=NODE).adding(later).node == later


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"node": {}}', '{"nodes": null}', '{"node": {"since": 1, "deadline_s": -1}}']
)
def test_load__damaged__is_told_with_its_path(tmp_path, text):
    (tmp_path / "drain.json").write_text(text)
    with pytest.raises(BadInput, match=r"drain\.json: "):
        load_drain(tmp_path)


def test_save__folder_is_missing__says_what_to_do(tmp_path):
    with pytest.raises(BadInput, match="as the agent's user or root"):
        save_drain(tmp_path / "none", DrainOrders(node=NODE))


def test_left_s__counts_down_to_zero():
    assert [NODE.left_s(now) for now in (100.0, 130.0, 160.0, 900.0)] == [60.0, 30.0, 0.0, 0.0]


def a_scope(**changes):
    fields = {"state": DrainState.DRAINING, "since": 1.0, "deadline_in_s": 12.4, "sessions": 3, "segments": 1}
    return DrainScope(**(fields | changes))


def test_report__is_drained__only_by_the_request_that_is_asked_about():
    report = DrainReport(scopes=(a_scope(), a_scope(device="GPU-1", state=DrainState.DRAINED)))
    assert report.is_drained(["GPU-1"])
    assert not report.is_drained()
    assert not report.is_drained(["GPU-1", "GPU-2"])
    assert not DrainReport().is_drained()


def test_scope__text__tells_what_is_left():
    assert (
        a_scope(reason="new disk").text
        == "draining (new disk): 3 session(s), 1 segment(s) in flight, 12 s to the deadline"
    )
    assert a_scope(deadline_in_s=0).text.endswith("the deadline has passed")
    assert a_scope(state=DrainState.DRAINED).text == "drained"


def test_report__of_a_newer_agent__is_read():
    told = DrainReport(scopes=(a_scope(),)).model_dump(mode="json") | {"since_ever": 1}
    assert DrainReport.model_validate(told) == DrainReport(scopes=(a_scope(),))
