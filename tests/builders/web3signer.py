"""A signing service on loopback that speaks Web3Signer's eth1 API, and certificates for both of its ends.

It answers as `openapi-specs/eth1/web3signer.yaml` says: keys by their public key, plain-text signatures, 404 for an
unknown key, 400 for a body without `data`. Its policy stands for the proxy that such a service has before it.
"""

import contextlib
import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from coincurve import PrivateKey
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from livefleet.chain import keccak256

__all__ = ["Certificates", "Web3Signer", "a_web3signer", "make_certificates", "public_key_of"]

_SIGN = "/api/v1/eth1/sign/"


@dataclass
class Web3Signer:
    """What it holds, what it lets through, and what it was asked."""

    url: str = ""
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    """Signing keys by identifier."""

    allow: Callable[[bytes], bool] = lambda _: True
    """Whether these bytes may be signed; else it answers 403."""

    token: str | None = None
    """Wanted as `Authorization: Bearer`; else it answers 401."""

    broken_answers: int = 0
    """So many requests are answered 500 from now on."""

    hang_ups: int = 0
    """So many connections are closed without an answer from now on."""

    answer: bytes | None = None
    """Answered in place of a signature."""

    may_answer: threading.Event = field(default_factory=threading.Event)
    """Cleared: it takes the question and keeps silent."""

    signed: list[bytes] = field(default_factory=list)
    """What it was asked to sign."""

    asked: list[str] = field(default_factory=list)
    """Method and path of every request."""

    def hold(self, secret: bytes) -> str:
        """Load a key; its identifier."""
        identifier = public_key_of(secret)
        self.keys[identifier] = PrivateKey(secret)
        return identifier


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, and what it has given the service and its client."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def public_key_of(secret: bytes) -> str:
    """The service's name for a key."""
    return "0x" + PrivateKey(secret).public_key.format(compressed=False)[1:].hex()


@contextmanager
def a_web3signer(*secrets: bytes, certificates: Certificates | None = None) -> Iterator[Web3Signer]:
    """A service that holds these keys; with certificates it asks its clients for theirs."""
    service = Web3Signer()
    service.may_answer.set()
    for secret in secrets:
        service.hold(secret)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    server.daemon_threads = True
    scheme = "http"
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server, certificates.server_key)
        context.load_verify_locations(certificates.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"{scheme}://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        service.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificates(folder: Path, *, name: str = "authority") -> Certificates:
    """A fresh authority and its two certificates, for 127.0.0.1 and a client."""
    authority_key, authority = _certificate(name, None)
    files = Certificates(*(folder / f"{name}-{part}.pem" for part in ("ca", "server", "server-key", "client", "key")))
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for certificate_file, key_file in ((files.server, files.server_key), (files.client, files.client_key)):
        key, certificate = _certificate("127.0.0.1", (authority_key, authority))
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return files


def _certificate(
    name: str, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer_key, issuer_name = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if issuer is not None:
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(addresses, critical=False)
    return key, builder.sign(issuer_key, hashes.SHA256())


def _handler(service: Web3Signer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are written one after the other

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # a client that hangs up, or one without a certificate
                super().handle()

        def do_GET(self) -> None:
            if not self._is_let_in():
                return
            if self.path == "/upcheck":
                self._say(200, b"OK", "text/plain; charset=utf-8")
            elif self.path == "/api/v1/eth1/publicKeys":
                self._say(200, json.dumps(list(service.keys)).encode(), "application/json; charset=utf-8")
            else:
                self._say(404, b"Resource not found", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self._is_let_in():
                return
            if not self.path.startswith(_SIGN):
                self._say(404, b"Resource not found", "text/plain")
                return
            try:
                data = bytes.fromhex(json.loads(body)["data"].removeprefix("0x"))
            except (ValueError, KeyError, AttributeError, TypeError):
                self._say(400, b"Bad request", "text/plain")
                return
            key = service.keys.get(self.path.removeprefix(_SIGN).lower())
            if key is None:
                self._say(404, b"Resource not found", "text/plain")
                return
            service.signed.append(data)
            if not service.allow(data):
                self._say(403, b"Not by this policy", "text/plain")
                return
            raw = key.sign_recoverable(keccak256(data), hasher=None)
            signature = "0x" + raw[:64].hex() + f"{raw[64] + 27:02x}"
            self._say(200, service.answer or signature.encode(), "text/plain; charset=utf-8")

        def _is_let_in(self) -> bool:
            service.asked.append(f"{self.command} {self.path}")
            service.may_answer.wait(60)
            if service.hang_ups > 0:
                service.hang_ups -= 1
                self.close_connection = True
                return False
            if service.broken_answers > 0:
                service.broken_answers -= 1
                self._say(500, b"Internal server error", "text/plain")
                return False
            if service.token is not None and self.headers["Authorization"] != f"Bearer {service.token}":
                self._say(401, b"Unauthorized", "text/plain")
                return False
            return True

        def _say(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
