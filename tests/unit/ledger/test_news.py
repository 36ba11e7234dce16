"""What logs and parameters are as news."""

import json
import logging

import pytest

from livefleet.kernel import Address
from livefleet.ledger.events import BOND, SLASHED, UNBOND
from livefleet.ledger.news import (
    ACTIVATED,
    CUTS_SET,
    DEACTIVATED,
    REWARD_CALLER_SET,
    News,
    NewsItem,
    NewsKind,
    log_news,
)
from livefleet.ledger.news import _load as load
from livefleet.ledger.parameters import changes
from tests.builders.logs import a_log

pytestmark = pytest.mark.unit

US, DELEGATOR, OTHER = (Address(address) for address in (
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
))  # fmt: skip
AT = Address("0x" + "01" * 20)
LPT = 10**18


def told(*logs, least=0):
    return [(item.kind, item.text) for item in log_news(logs, US, least=least, now=5.0)]


def test_log_news__stake_moves__are_told_from_a_size_on_and_never_our_own():
    logs = [
        a_log(BOND, US, US, DELEGATOR, 5 * LPT, 9 * LPT, address=AT, block=1),
        a_log(UNBOND, US, DELEGATOR, 0, 4 * LPT, 9, address=AT, block=2),
        a_log(BOND, OTHER, US, DELEGATOR, 0, 7 * LPT, address=AT, block=3),
        a_log(BOND, US, US, US, 100 * LPT, 100 * LPT, address=AT, block=4),
    ]
    assert [text for _, text in told(*logs)] == [
        f"{DELEGATOR} bonded 5 LPT",
        f"{DELEGATOR} unbonded 4 LPT",
        f"{DELEGATOR} took elsewhere 7 LPT",
    ]
    assert len(told(*logs, least=5 * LPT)) == 2


def test_log_news__what_was_done_to_us__is_told_in_words_and_order():
    logs = [
        a_log(DEACTIVATED, US, 8, address=AT, block=4),
        a_log(ACTIVATED, US, 7, address=AT, block=3),
        a_log(CUTS_SET, US, 125_000, 500_000, address=AT, block=5),
        a_log(REWARD_CALLER_SET, US, OTHER, address=AT, block=6),
        a_log(SLASHED, US, OTHER, 40 * LPT, 0, address=AT, block=7),
    ]
    assert told(*logs) == [
        (NewsKind.ACTIVATED, "in the active set from round 7 on"),
        (NewsKind.DEACTIVATED, "out of the active set from round 8 on"),
        (NewsKind.CUTS_SET, "cuts set: 12.5 % of rewards kept, 50 % of fees to delegators"),
        (NewsKind.REWARD_CALLER_SET, f"reward caller set to {OTHER}"),
        (NewsKind.SLASHED, f"slashed by 40 LPT, reported by {OTHER}"),
    ]


def test_changes__parameters_that_appear_or_stay__are_no_news():
    assert [str(change) for change in changes({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})] == ["b changed from 2 to 3"]


def test_alarms__grave_items__last_a_day():
    news = News(1, {}, (NewsItem(NewsKind.SLASHED, "x", 1, 100.0), NewsItem(NewsKind.STAKE_MOVED, "y", 1, 100.0)))
    assert [item.text for item in news.alarms(100.0 + 86_399)] == ["x"]
    assert news.alarms(100.0 + 86_400) == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"block": 1, "parameters": {}, "items": [{"kind": "?"}]})])
def test_load__a_file_that_is_none__is_begun_anew_and_said(tmp_path, caplog, text):
    path = tmp_path / "news.json"
    assert load(path) is None
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert load(path) is None
    assert [record.message for record in caplog.records] == ["chain.news_forgotten"]
