"""The front door's certificate.

Peers do not verify: gateways skip it, the SDK pins the first certificate it sees. It must therefore stay the same
from connection to connection, and over restarts while it can.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from livefleet.kernel import Clock
from livefleet.kernel.durable_file import write_durably

__all__ = ["RENEW_BEFORE", "CertificateFiles", "ensure_certificate", "service_host"]

_VALID = timedelta(hours=8765)  # the reference's
RENEW_BEFORE = timedelta(days=30)
"""So long before its end the node makes itself another one."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files on this host."""

    certificate: Path
    key: Path  # 0600


def service_host(service_uri: str) -> str:
    """The host part of a service URI, without brackets."""
    return urlsplit(service_uri).hostname or ""


def ensure_certificate(folder: Path, host: str, clock: Clock) -> CertificateFiles:
    """The certificate for `host` in `folder`; made anew when missing, near its end, or for another host."""
    files = CertificateFiles(folder / "cert.pem", folder / "key.pem")
    now = datetime.fromtimestamp(clock.now(), UTC)
    if _is_usable(files, host, now):
        return files
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, host, now)
    write_durably(
        files.key,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    write_durably(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return files


def _is_usable(files: CertificateFiles, host: str, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    except (OSError, ValueError):
        return False
    if certificate.public_key() != key.public_key():
        return False
    still_good = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
    return still_good and _dns_names(certificate) == [host]


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name) for name in extension.value.get_values_for_type(x509.DNSName)]


def _self_signed(key: ec.EllipticCurvePrivateKey, host: str, now: datetime) -> x509.Certificate:
    """The reference's layout: empty subject, the host as DNS name even where it is an address, CA, 128-bit serial."""
    nobody = x509.Name([])
    usage = dict.fromkeys(_USAGES, False) | {"digital_signature": True, "key_cert_sign": True}
    return (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(os.urandom(16), "big") >> 1 | 1)
        .not_valid_before(now - timedelta(hours=1))  # peers' clocks differ
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)  # the subject is empty
        .sign(key, hashes.SHA256())
    )


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
