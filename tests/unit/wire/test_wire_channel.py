import pytest

from livefleet.kernel import BadInput
from livefleet.media.ladder import parse_profile
from livefleet.wire.channel import Endpoint, parse_endpoint

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://o.example.com:9000", Endpoint("o.example.com", 9000)),
        ("o.example.com", Endpoint("o.example.com", 8935)),
        ("127.0.0.1:1", Endpoint("127.0.0.1", 1)),
        ("https://[::1]:8935/", Endpoint("::1", 8935)),
    ],
)
def test_parse_endpoint(text, endpoint):
    assert parse_endpoint(text) == endpoint
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize("text", ["http://o:8935", "https://o:8935/path", "https://o:99999", ""])
def test_parse_endpoint__not_an_orchestrator__is_refused(text):
    with pytest.raises(BadInput):
        parse_endpoint(text)


def test_parse_profile__standard_and_spelled_out():
    assert parse_profile("P360p30fps16x9").bitrate == 1_200_000
    spelled = parse_profile("640x360@30:800k")
    assert (spelled.width, spelled.height, spelled.fps, spelled.bitrate) == (640, 360, 30, 800_000)
    assert parse_profile("640x360:800k").fps == 0
    with pytest.raises(BadInput, match="write 640x360@30:800k"):
        parse_profile("tall")
