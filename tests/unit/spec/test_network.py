import pytest
from pydantic import ValidationError

from livefleet.spec import Network, RpcEndpoint

pytestmark = pytest.mark.unit


def test_rpc__urls_and_limited_endpoints_mixed__all_in_the_long_form():
    network = Network(name="devchain", rpc=["http://a/key", {"url": "https://b", "requests_per_second": 25}])
    assert network.rpc[0] == "http://a/key"
    assert network.endpoints == (
        RpcEndpoint(url="http://a/key"),
        RpcEndpoint(url="https://b", requests_per_second=25),
    )


@pytest.mark.parametrize(
    "rpc", [["ftp://a"], [{"url": "a"}], [{"url": "http://a", "requests_per_second": 0}], [{"requests_per_second": 1}]]
)
def test_rpc__no_url_or_no_rate__is_refused(rpc):
    with pytest.raises(ValidationError):
        Network(name="devchain", rpc=rpc)


@pytest.mark.parametrize(
    ("network", "depth"),
    [
        ({"name": "arbitrum-one-mainnet"}, 20),
        ({"name": "devchain"}, 0),
        ({"name": "devchain", "confirmations": 3}, 3),
        ({"name": "arbitrum-one-mainnet", "confirmations": 0}, 0),
    ],
)
def test_safe_depth__by_network_unless_declared(network, depth):
    assert Network(**network).safe_depth == depth
