"""The service's certificate: made once, known to images by its key, so that it may be made anew with the same one."""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from livefleet.kernel import BadInput, OutsideWorld
from livefleet.kernel.durable_file import write_new

__all__ = ["ServiceCertificate", "ensure_certificate"]

_VALID: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class ServiceCertificate:
    """PEM files, and what images are to know of them."""

    certificate: Path
    key: Path  # 0600
    pin: str  # `sha256:` and 64 hex digits of the public key


def ensure_certificate(folder: Path, names: tuple[str, ...], now: datetime | None = None) -> ServiceCertificate:
    """The one in `folder`; made for `names` (host names and addresses) when there is none.

    Raises BadInput for files that are none, OutsideWorld where they cannot be written.
    """
    certificate, key = folder / "enrol-cert.pem", folder / "enrol-key.pem"
    try:
        if not key.exists():
            if certificate.exists():
                raise BadInput(
                    f"{certificate} is there and {key} is not: bring it back, since images know it, or remove both"
                )
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = ec.generate_private_key(ec.SECP256R1())
            write_new(key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        if not certificate.exists():
            content = _made(load_pem_private_key(key.read_bytes(), None), names, now or datetime.now(UTC))
            write_new(certificate, content, mode=0o644)
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise OutsideWorld(f"{error.filename or folder}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{certificate} or {key} is none that `livefleet enrol` has made") from error
    public = loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return ServiceCertificate(certificate, key, f"sha256:{hashlib.sha256(public).hexdigest()}")


def _made(private: Any, names: tuple[str, ...], now: datetime) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "livefleet enrolment")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .sign(private, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
