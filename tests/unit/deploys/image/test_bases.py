"""Where images come from."""

import pytest

from deploys.image.bases import base_of, parse_source
from livefleet.kernel import BadInput

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("line", "index"),
    [
        ("deb http://m.example/debian bookworm main", "http://m.example/debian/dists/bookworm"),
        (
            "deb [trusted=yes arch=amd64] http://m.example/debian/ bookworm main contrib",
            "http://m.example/debian/dists/bookworm",
        ),
        ("deb http://m.example/image ./", "http://m.example/image"),
        ("deb http://m.example/repos/debian12/x86_64/ /", "http://m.example/repos/debian12/x86_64"),
        ("deb http://m.example/a flat/", "http://m.example/a/flat"),
    ],
)
def test_parse_source__line_of_apt__is_read_and_told_again(line, index):
    source = parse_source(line)
    assert source.line == line
    assert source.index == index
    assert "[" not in source.told


@pytest.mark.parametrize(
    "line", ["", "deb", "http://m.example/debian bookworm main", "deb http://m.example/debian bookworm"]
)
def test_parse_source__no_such_line__is_refused(line):
    with pytest.raises(BadInput, match="write a line of apt's"):
        parse_source(line)


def test_sources__snapshot__is_debian_of_that_time():
    now, then = base_of("bookworm").sources(None), base_of("bookworm").sources("20260901T000000Z")
    assert [s.suite for s in now] == [s.suite for s in then] == ["bookworm", "bookworm-updates", "bookworm-security"]
    assert all("20260901T000000Z" in s.uri and "check-valid-until=no" in s.options for s in then)


@pytest.mark.parametrize("time", ["2026-09-01", "20260901", "20260901T000000Z/../.."])
def test_sources__no_time__is_refused(time):
    with pytest.raises(BadInput, match="20260901T000000Z"):
        base_of("bookworm").sources(time)


def test_base_of__unknown_suite__names_those_there_are():
    with pytest.raises(BadInput, match="bookworm, trixie"):
        base_of("sid")
