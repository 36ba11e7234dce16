import pytest

from livefleet.chain import same_service

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example:8935", "https://a.example:8935/"),
        ("HTTPS://A.Example:8935", "https://a.example:8935"),
        ("https://a.example", "https://a.example:443/"),
    ],
)
def test_same_service__spelled_differently__is_the_same(one, other):
    assert same_service(one, other)


@pytest.mark.parametrize(
    "other",
    ["https://a.example:8936", "http://a.example:8935", "https://b.example:8935", "", "https://a.example:99999"],
)
def test_same_service__another_place__differs(other):
    assert not same_service("https://a.example:8935", other)
