"""When a host may be rebooted."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from livefleet.spec import DriverSettings, RebootWindow, SessionPatch

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = RebootWindow(days=("tue",), opens="23:00", closes="02:00", timezone="Europe/Berlin")


def unix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("now", "closes"),
    [
        ("2026-12-01 22:59", None),  # a Tuesday
        ("2026-12-01 23:00", "2026-12-02 02:00"),
        ("2026-12-02 01:59", "2026-12-02 02:00"),
        ("2026-12-02 02:00", None),
        ("2026-12-02 23:30", None),
    ],
)
def test_window__over_midnight__belongs_to_the_day_that_it_opens_on(now: str, closes: str | None) -> None:
    assert NIGHT.closes_at(unix(now)) == (unix(closes) if closes else None)


def test_window__shut__tells_its_next_opening() -> None:
    assert NIGHT.told(unix("2026-12-02 03:00")) == "Tue 8 Dec 23:00 Europe/Berlin"


def test_window__night_of_the_clock_change__keeps_its_wall_clock_ends() -> None:
    window = RebootWindow(opens="01:00", closes="04:00", timezone="Europe/Berlin")
    closes = window.closes_at(unix("2026-03-29 01:30"))  # 02:00 becomes 03:00
    assert closes == unix("2026-03-29 04:00")
    assert closes is not None
    assert closes - unix("2026-03-29 01:00") == timedelta(hours=2).total_seconds()


def test_window__equal_ends__is_a_whole_day() -> None:
    always = RebootWindow(opens="00:00", closes="00:00")
    assert always.closes_at(0) == 86400
    assert always.closes_at(86399) == 86400


CLOCKS = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
DAYS = st.lists(st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")), min_size=1, unique=True)
ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"))


@given(DAYS, CLOCKS, CLOCKS, ZONES, st.integers(1_700_000_000, 1_900_000_000))
def test_window__any__is_open_at_its_opening_and_shut_at_its_close(
    days: list[str], opens: str, closes: str, zone: str, now: int
) -> None:
    window = RebootWindow.model_validate({"days": days, "opens": opens, "closes": closes, "timezone": zone})
    opened = window.opens_at(now)
    assert now <= opened <= now + 9 * 86400
    closed = window.closes_at(opened)
    assert closed is None or closed > opened  # None: an hour that the clock change leaves out
    assert (window.closes_at(now) is not None) == (opened == now)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"opens": "2:00", "closes": "05:00"}, "is no time of day"),
        ({"opens": "02:00", "closes": "24:00"}, "is no time of day"),
        ({"opens": "02:00", "closes": "05:00", "timezone": "Berlin"}, "is no known time zone"),
        ({"opens": "02:00", "closes": "05:00", "timezone": "Europe"}, "is no known time zone"),
        ({"opens": "02:00", "closes": "05:00", "days": []}, "would never open"),
    ],
)
def test_window__bad_input__says_what_to_write(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RebootWindow.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"branch": 580, "version": "595.71.05"}, "version 595.71.05 is not of branch 580; set `branch: 595`"),
        ({"version": "580"}, "should match pattern"),
        ({"session_patch": {"url": "https://x.example/f", "sha256": "a" * 64}}, "fits one driver version only"),
        ({"repository": {"url": "mirror/cuda"}}, "is no address that apt can fetch from"),
    ],
)
def test_driver__bad_input__says_what_to_write(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DriverSettings.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "ftp://x.example/f", "sha256": "a" * 64}, "is no address of a file"),
        ({"url": "https://x.example/f", "sha256": "a" * 64, "kind": "tool"}, "give `patched_sha256`"),
        ({"url": "https://x.example/f", "sha256": "a" * 64, "arguments": ["-x"]}, "`arguments` are for a tool"),
        ({"url": "https://x.example/f", "sha256": "a" * 64, "patched_sha256": "b" * 64}, "leave it out"),
    ],
)
def test_session_patch__bad_input__says_what_to_write(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SessionPatch.model_validate(fields)
