import pytest

from livefleet.spec.duration import parse_duration

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("1.5", 1.5), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("0.5h", 1800), ("1h0m5s", 3605)],
)
def test_parse_duration__as_people_write_it(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10 m", "-5", "5d", "m", "1h30", "10mm", "٣s", "1e3"])
def test_parse_duration__anything_else__says_how_to_write_it(text):
    with pytest.raises(ValueError, match="write 90s, 10m or 1h30m"):
        parse_duration(text)
