import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from livefleet.wire.tls import ensure_certificate, service_host
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

YEAR = 365 * 86400


@pytest.fixture
def clock():
    return HandClock(1_800_000_000.0)


def test_certificate__has_the_reference_layout(tmp_path, clock):
    files = ensure_certificate(tmp_path / "tls", "203.0.113.7", clock)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert certificate.subject == certificate.issuer == x509.Name([])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["203.0.113.7"]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert usage.digital_signature
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(hours=8766)
    assert files.key.stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.certificate, files.key)


def test_certificate__asked_again__is_the_same(tmp_path, clock):
    first = ensure_certificate(tmp_path, "o.example", clock).certificate.read_bytes()
    clock.time += YEAR / 2
    assert ensure_certificate(tmp_path, "o.example", clock).certificate.read_bytes() == first


@pytest.mark.parametrize("change", ["host", "age", "key", "garbage", "mixed"])
def test_certificate__no_longer_good__is_made_anew(tmp_path, clock, change):
    files = ensure_certificate(tmp_path, "o.example", clock)
    before = files.certificate.read_bytes()
    host = "o.example"
    match change:
        case "host":
            host = "p.example"
        case "age":
            clock.time += YEAR - 86400
        case "key":
            files.key.unlink()
        case "garbage":
            files.certificate.write_text("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
        case "mixed":
            other = ensure_certificate(tmp_path / "other", host, clock)
            files.key.write_bytes(other.key.read_bytes())
    after = ensure_certificate(tmp_path, host, clock).certificate.read_bytes()
    assert after != before
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.certificate, files.key)


@pytest.mark.parametrize(
    ("uri", "host"),
    [("https://o.example:8935", "o.example"), ("https://[2001:db8::1]:8935", "2001:db8::1"), ("https://h", "h")],
)
def test_service_host(uri, host):
    assert service_host(uri) == host
