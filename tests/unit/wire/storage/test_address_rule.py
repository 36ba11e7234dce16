from ipaddress import ip_address

import pytest

from livefleet.wire.storage import AddressRule, neighbouring_networks

pytestmark = pytest.mark.unit

INWARD = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00:ec2::254",
    "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2002:a00:1::1", "2001:db8::1",
)  # fmt: skip
OUTWARD = ("8.8.8.8", "52.216.10.1", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")


@pytest.mark.parametrize("text", INWARD)
def test_passes__address_that_leads_inward__does_not(text):
    assert not AddressRule().passes(ip_address(text))


@pytest.mark.parametrize("text", OUTWARD)
def test_passes__address_of_the_open_internet__does(text):
    assert AddressRule().passes(ip_address(text))


def test_passes__listed_network__does_and_only_that():
    rule = AddressRule(["10.1.0.0/16", "fd00:1::/32"])
    assert rule.passes(ip_address("10.1.2.3"))
    assert rule.passes(ip_address("::ffff:10.1.2.3"))
    assert rule.passes(ip_address("fd00:1::7"))
    assert not rule.passes(ip_address("10.2.0.1"))
    assert not rule.passes(ip_address("127.0.0.1"))
    assert rule.passes(ip_address("8.8.8.8"))


def test_rule__text_that_is_no_network__is_an_error():
    with pytest.raises(ValueError, match="host bits"):
        AddressRule(["10.0.0.1/8"])


@pytest.mark.parametrize(
    ("own_host", "reaches_private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.7.7", True),
        ("::1", True),
        ("fd00::1", True),
        ("localhost", True),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
        ("orchestrator.example.org", False),
        ("", False),
    ],
)
def test_neighbouring_networks__only_of_a_node_that_is_private_itself(own_host, reaches_private):
    assert AddressRule(neighbouring_networks(own_host)).passes(ip_address("10.0.0.5")) is reaches_private
