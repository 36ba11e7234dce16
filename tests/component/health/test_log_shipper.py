"""Lines to an endpoint that speaks Loki's push API: all of them, also those said while it was away."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import pytest

from livefleet.health.log_shipper import LOGS_SHIPPED, LogShipper
from livefleet.health.log_spool import LogSpool
from livefleet.kernel import Backoff, ConditionBoard, SystemClock
from tests.builders.loki import SmallLoki, a_loki
from tests.builders.metrics import Scrape, drift
from tests.builders.monitored import a_free_port

pytestmark = pytest.mark.component

LABELS = {"fleet": "f", "node": "n", "role": "worker", "unit": "livefleet.service"}
log = logging.getLogger("livefleet.test")


@pytest.fixture(autouse=True)
def _heard():
    log.setLevel(logging.DEBUG)


def numbers(loki):
    return [json.loads(entry.line)["number"] for entry in loki.entries if '"number"' in entry.line]


def say(*said, **extra):
    for number in said:
        log.info("test.said", extra={"number": number, **extra})


@asynccontextmanager
async def a_shipper(tmp_path, url, *, limit=1 << 22):
    board = ConditionBoard(SystemClock())
    (tmp_path / "token").write_text("push-token\n")
    shipper = LogShipper(
        url, LogSpool(tmp_path / "spool", limit), board, labels=LABELS, token=tmp_path / "token",
        every_s=0.05, backoff=Backoff(first_s=0.05, cap_s=0.2),
    )  # fmt: skip
    with shipper.attached():
        running = asyncio.create_task(shipper.run())
        try:
            yield shipper, board
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(is_so, within_s=30):
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.02)


def reading(shipper, name, **labels):
    return next(value for n, _, _, said, value in shipper.readings() if n == name and said == labels)


async def test_line__comes_with_few_labels__and_the_rest_as_metadata(tmp_path):
    loki = SmallLoki()
    with a_loki(loki) as url:
        async with a_shipper(tmp_path, url) as (shipper, board):
            say(1, device="GPU-1", session="s-9", job="j", round=77)
            log.error("test.failed")
            await until(lambda: len(loki.entries) == 2)
            await until(lambda: reading(shipper, "livefleet_logs_shipped_total") == 2)
    said, failed = sorted(loki.entries, key=lambda entry: entry.labels["level"], reverse=True)
    assert said.labels == {**LABELS, "level": "info"}
    assert said.metadata == {"gpu": "GPU-1", "session": "s-9", "job": "j", "round": "77"}
    assert json.loads(said.line)["event"] == "test.said"
    assert (failed.labels["level"], failed.metadata) == ("error", {})
    assert loki.tokens == {"Bearer push-token"}
    assert [c.reason for c in board.all() if c.name == LOGS_SHIPPED] == ["Shipped"]
    assert drift(Scrape.of_readings(shipper.readings()), "ship") == []


async def test_monitor_away_and_back__nothing_is_lost(tmp_path):
    loki, port = SmallLoki(), a_free_port()
    async with a_shipper(tmp_path, f"http://127.0.0.1:{port}") as (shipper, board):
        with a_loki(loki, port):
            say(*range(50))
            await until(lambda: len(numbers(loki)) == 50)
        say(*range(50, 1000))
        await until(lambda: any(c.name == LOGS_SHIPPED and c.reason == "Waiting" for c in board.all()))
        assert reading(shipper, "livefleet_logs_waiting_bytes") > 0
        assert board.blocking() == ()  # the node is as ready as before
        with a_loki(loki, port):
            say(*range(1000, 1050))
            await until(lambda: len(numbers(loki)) == 1050)
    assert sorted(numbers(loki)) == list(range(1050))
    assert reading(shipper, "livefleet_logs_dropped_total", because="full") == 0


async def test_node_restarted_meanwhile__nothing_is_lost(tmp_path):
    loki, port = SmallLoki(), a_free_port()
    async with a_shipper(tmp_path, f"http://127.0.0.1:{port}"):
        say(*range(100))
    with a_loki(loki, port):
        async with a_shipper(tmp_path, f"http://127.0.0.1:{port}"):
            await until(lambda: len(numbers(loki)) == 100)


async def test_away_for_longer_than_there_is_room__the_oldest_go_and_are_counted(tmp_path):
    loki, port = SmallLoki(), a_free_port()
    async with a_shipper(tmp_path, f"http://127.0.0.1:{port}", limit=1 << 19) as (shipper, _):
        say(*range(2000), filling="x" * 500)
        dropped = reading(shipper, "livefleet_logs_dropped_total", because="full")
        assert dropped > 0
        with a_loki(loki, port):
            await until(lambda: 1999 in numbers(loki))
    assert sorted(numbers(loki)) == list(range(2000 - len(numbers(loki)), 2000))


@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry-After": "0"}), (500, {}), (503, {}), (401, {})])
async def test_not_now__is_sent_again(tmp_path, status, headers):
    loki = SmallLoki()
    loki.answers = [(status, headers)] * 3
    with a_loki(loki) as url:
        async with a_shipper(tmp_path, url):
            say(1)
            await until(lambda: numbers(loki) == [1])
    assert loki.asked[:4] == [status, status, status, 204]


async def test_never__is_dropped_counted_and_said__and_what_follows_goes_on(tmp_path):
    loki = SmallLoki()
    loki.answers = [(400, {})]
    with a_loki(loki) as url:
        async with a_shipper(tmp_path, url) as (shipper, _):
            say(1)
            await until(lambda: reading(shipper, "livefleet_logs_dropped_total", because="refused") >= 1)
            say(2)
            await until(lambda: 2 in numbers(loki))
    assert 1 not in numbers(loki)


async def test_token_gone__waits(tmp_path):
    loki = SmallLoki()
    with a_loki(loki) as url:
        async with a_shipper(tmp_path, url) as (_, board):
            (tmp_path / "token").unlink()
            say(1)
            await until(lambda: any("token" in c.message for c in board.all()))
            (tmp_path / "token").write_text("back")
            await until(lambda: numbers(loki) == [1])
