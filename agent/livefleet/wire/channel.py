"""gRPC channels to peers with self-signed certificates.

The network's peers do not verify each other's certificates: who a peer is is proven by signatures inside. gRPC cannot
be told to skip verification, so the certificate that the peer shows is fetched first and trusted for that channel.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
import grpc.aio
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from livefleet.kernel import BadInput, OutsideWorld

__all__ = [
    "Endpoint",
    "channel_trusting",
    "insecure_tls_context",
    "open_channel",
    "parse_endpoint",
    "service_endpoint",
]

DEFAULT_PORT = 8935
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a peer's front door is."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """`https://host:port`, `host:port` or `host` (then port 8935)."""
    parts = urlsplit(text if "//" in text else f"//{text}")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError as error:
        raise BadInput(f"{text!r}: {error}") from error
    if not parts.hostname or parts.path.strip("/") or parts.scheme not in ("", "https"):
        raise BadInput(f"{text!r} is not the address of an orchestrator; write https://host:port")
    return Endpoint(parts.hostname, port)


def service_endpoint(uri: str) -> Endpoint:
    """Where a service URI leads: unlike addresses that people write, one without a port means 443."""
    endpoint = parse_endpoint(uri)
    return endpoint if urlsplit(uri).port else Endpoint(endpoint.host, _HTTPS_PORT)


def insecure_tls_context(alpn: list[str]) -> ssl.SSLContext:
    """A client context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(alpn)
    return context


async def open_channel(endpoint: Endpoint, *, timeout_s: float, keepalive_s: float | None = None) -> grpc.aio.Channel:
    """A channel that trusts exactly the certificate which the peer shows now; the caller closes it.

    Raises OutsideWorld when no TLS connection comes about within `timeout_s`.
    """
    return channel_trusting([await _fetch_certificate(endpoint, timeout_s)], endpoint, keepalive_s=keepalive_s)


def channel_trusting(
    certificates: Sequence[bytes], endpoint: Endpoint, *, keepalive_s: float | None = None
) -> grpc.aio.Channel:
    """A channel that trusts these certificates (DER), under the first one's name. It connects when it is first used."""
    options: list[tuple[str, int | str]] = [
        ("grpc.ssl_target_name_override", _name_of(certificates[0], endpoint.host)),
        ("grpc.max_receive_message_length", 16 << 20),
        # Each channel is its own connection: a second stream to the same peer must not share a dying one.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if keepalive_s is not None:
        options += [
            ("grpc.keepalive_time_ms", int(keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", int(keepalive_s * 1000)),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    roots = "".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in certificates)
    credentials = grpc.ssl_channel_credentials(root_certificates=roots.encode())
    return grpc.aio.secure_channel(str(endpoint), credentials, options=options)


async def _fetch_certificate(endpoint: Endpoint, timeout_s: float) -> bytes:
    context = insecure_tls_context(["h2"])
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)
    except TimeoutError as error:
        raise OutsideWorld(f"{endpoint}: no TLS connection within {timeout_s:g} s") from error
    except (OSError, ssl.SSLError) as error:
        raise OutsideWorld(f"{endpoint}: {error.strerror or error}") from error
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    if not der:
        raise OutsideWorld(f"{endpoint}: shows no certificate")
    return bytes(der)


def _name_of(der: bytes, fallback: str) -> str:
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(names, x509.SubjectAlternativeName)
        dns = names.get_values_for_type(x509.DNSName)
        if dns:
            return str(dns[0])
        addresses = names.get_values_for_type(x509.IPAddress)
        if addresses:
            return str(addresses[0])
    except x509.ExtensionNotFound:
        pass
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else fallback
