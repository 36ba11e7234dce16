import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Condition, ConditionBoard, Status, from_min_bytes, to_min_bytes, to_u256
from livefleet.kernel.log import JsonFormatter
from livefleet.kernel.systemd import notify, watchdog_interval_s
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit


def a_condition(status=Status.TRUE, reason="Fine", **fields):
    return Condition("Thing", status, reason, "message", **fields)


def test_board__status_unchanged__since_is_kept():
    clock = HandClock(100.0)
    board = ConditionBoard(clock)
    board.report(a_condition())
    clock.time = 200.0
    board.report(a_condition(reason="StillFine"))
    assert board.all()[0].since == 100.0
    board.report(a_condition(Status.FALSE))
    assert board.all()[0].since == 200.0


def test_board__listeners_hear_changes_only():
    board = ConditionBoard(HandClock())
    heard = []
    board.on_change(lambda after, before: heard.append((after.reason, before and before.reason)))
    board.report(a_condition())
    board.report(a_condition())
    board.report(a_condition(Status.FALSE, "Broken"))
    assert heard == [("Fine", None), ("Broken", "Fine")]


def test_board__ready__only_without_blocking_and_with_all_required():
    board = ConditionBoard(HandClock())
    assert not board.is_ready(["Thing"])
    board.report(a_condition())
    assert board.is_ready(["Thing"])
    board.report(a_condition(Status.UNKNOWN, subject="other"))
    assert not board.is_ready()
    board.withdraw("Thing", "other")
    board.report(a_condition(Status.FALSE, subject="advisory", gates_ready=False))
    assert board.is_ready()


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_min_bytes__round_trip__no_leading_zero(value):
    raw = to_min_bytes(value)
    assert from_min_bytes(raw) == value
    assert not raw.startswith(b"\0")
    assert len(to_u256(value)) == 32


def test_min_bytes__negative__is_refused():
    with pytest.raises(ValueError, match="negative"):
        to_min_bytes(-1)


def test_json_formatter__fields_stand_beside_the_event():
    record = logging.LogRecord("livefleet.x", logging.INFO, "f", 1, "ticket.redeemed", None, None)
    record.tx = "0xabc"
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["level"], line["tx"]) == ("ticket.redeemed", "info", "0xabc")


def test_json_formatter__context__is_in_every_line_and_the_line_s_own_fields_win():
    record = logging.LogRecord("livefleet.x", logging.INFO, "f", 1, "worker.joined", None, None)
    record.role = "worker"
    line = json.loads(JsonFormatter({"node": "gpu-1", "role": "orchestrator"}).format(record))
    assert (line["node"], line["role"]) == ("gpu-1", "worker")


def test_watchdog__half_of_what_the_unit_says():
    assert watchdog_interval_s({"WATCHDOG_USEC": "30000000"}) == 15
    assert watchdog_interval_s({}) is None


def test_notify__service_manager_is_gone__is_no_error(tmp_path):
    assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")}) is False
    assert notify("WATCHDOG=1", {}) is False
