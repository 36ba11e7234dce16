import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from livefleet.kernel import Refused
from livefleet.monitoring.signature import check_signature, signature_headers

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


@given(secret=st.binary(min_size=1), body=st.binary(), late=st.floats(-299, 299))
def test_signature__own_body__is_accepted_for_five_minutes(secret, body, late):
    check_signature(secret, lower(signature_headers(secret, body, NOW)), body, NOW + late)


@given(secret=st.binary(min_size=1), other=st.binary(min_size=1), body=st.binary(), forged=st.binary())
def test_signature__another_secret_body_or_time__is_forged(secret, other, body, forged):
    # HMAC fills a secret up with zeros, so these count as the same one.
    assume(secret.rstrip(b"\0") != other.rstrip(b"\0"))
    headers = lower(signature_headers(secret, body, NOW))
    with pytest.raises(Refused, match="forged"):
        check_signature(other, headers, body, NOW)
    with pytest.raises(Refused, match="forged"):
        check_signature(secret, headers, body + b".", NOW)
    with pytest.raises(Refused, match="forged"):
        check_signature(secret, headers | {"x-livefleet-timestamp": str(int(NOW) + 1)}, body, NOW)


def test_signature__overheard_and_sent_again_later__is_too_old():
    with pytest.raises(Refused, match="too old"):
        check_signature(b"s", lower(signature_headers(b"s", b"{}", NOW)), b"{}", NOW + 302)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-livefleet-timestamp": "soon", "x-livefleet-signature": "v1=00"},
        {"x-livefleet-timestamp": "²", "x-livefleet-signature": "v1=00"},
        {"x-livefleet-timestamp": "1", "x-livefleet-signature": "sha256=00"},
    ],
)
def test_signature__missing_or_odd_headers__are_unsigned(headers):
    with pytest.raises(Refused, match="unsigned"):
        check_signature(b"s", headers, b"{}", NOW)


def test_signature__known_value():
    # printf '1800000000.{}' | openssl dgst -sha256 -hmac key
    headers = signature_headers(b"key", b"{}", NOW)
    assert headers["X-Livefleet-Timestamp"] == "1800000000"
    assert headers["X-Livefleet-Signature"] == "v1=7321475872b03ff21bdc2dfd86ea2d99ec29c479fbe4a77aa6acf4509505493f"
