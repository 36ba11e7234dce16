import pytest

from livefleet.chain import ServiceUriDuty, same_service
from livefleet.kernel import BadInput

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


@pytest.mark.parametrize("declared", ["https://0.0.0.0:8935", "a.example:8935", ""])
def test_plan__a_uri_nobody_can_reach__is_bad_input(declared):
    duty = ServiceUriDuty(None, None, declared)  # type: ignore[arg-type] -- plan() is pure
    with pytest.raises(BadInput, match="no host"):
        duty.plan("")
