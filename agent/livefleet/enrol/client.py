"""Speaks to the operator's service. Nothing is sent before the service has shown that it is the one that is trusted.

The standard library's HTTP client: it hands out the connection between the handshake and the request, which is the
moment a key has to be compared in. Everything here blocks, within bounds.
"""

import hashlib
import hmac
import http.client
import socket
import ssl
import time
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from livefleet.enrol.errors import EnrolError, HostFault
from livefleet.enrol.identity import Identity
from livefleet.spec.enrol import EnrolTrust
from livefleet.spec.enrolment import (
    ASK_PATH,
    CHALLENGE_HEADER,
    CHALLENGE_PATH,
    KEY_HEADER,
    LARGEST_ANSWER,
    REPORT_PATH,
    SIGNATURE_HEADER,
    Challenge,
    EnrolAsk,
    EnrolFault,
    Enrolled,
    HostReport,
    Refusal,
    Waiting,
    signed_text,
)
from livefleet.spec.model import SpecModel

__all__ = ["EnrolClient", "public_key_pin"]

_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_CHUNK: Final = 1 << 16
_M = TypeVar("_M", bound=SpecModel)


def public_key_pin(certificate_der: bytes) -> str:
    """`sha256:` and 64 hex digits of the certificate's public key."""
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    return f"sha256:{hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()}"


class EnrolClient:
    """One host's way to the service. `exchange_s` bounds a question and its answer together."""

    def __init__(self, url: str, trust: EnrolTrust, identity: Identity, *, exchange_s: float = 20.0) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._trust = trust
        self._identity = identity
        self._exchange_s = exchange_s
        self.service_time: float | None = None  # unix seconds by the service's clock, as last told

    def ask(self, ask: EnrolAsk) -> Waiting | Enrolled:
        """Ask to be let in. Raises EnrolError."""
        status, body = self._exchange(ASK_PATH, ask)
        return self._parsed(Waiting, body) if status == http.HTTPStatus.ACCEPTED else self._parsed(Enrolled, body)

    def report(self, report: HostReport) -> None:
        """Say how the host is. Raises EnrolError."""
        self._exchange(REPORT_PATH, report)

    def _exchange(self, path: str, message: SpecModel) -> tuple[int, bytes]:
        until = time.monotonic() + self._exchange_s
        connection = _TrustedConnection(self._host, self._port, self._trust, self._exchange_s / 2)
        try:
            status, body = _answer(connection, "GET", CHALLENGE_PATH, b"", {}, until)
            self._refused(status, body)
            challenge = self._parsed(Challenge, body)
            self.service_time = challenge.now
            text = message.model_dump_json(exclude_defaults=True).encode()
            signature = self._identity.sign(signed_text(path, challenge.challenge, text))
            headers = {
                "content-type": "application/json",
                KEY_HEADER: self._identity.public_key.hex(),
                CHALLENGE_HEADER: challenge.challenge,
                SIGNATURE_HEADER: signature.hex(),
            }
            status, body = _answer(connection, "POST", path, text, headers, until)
        except EnrolError:
            raise
        except socket.gaierror as error:
            raise EnrolError(
                HostFault.NO_NAME, f"no address is known for {self._host} ({error.strerror}): is the network up?"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise EnrolError(HostFault.NO_ANSWER, f"{self._url} does not answer: {why}") from error
        finally:
            connection.close()
        self._refused(status, body)
        return status, body

    def _refused(self, status: int, body: bytes) -> None:
        """Raises what the service says when it says no."""
        if status < http.HTTPStatus.BAD_REQUEST:
            return
        try:
            refusal = Refusal.model_validate_json(body)
        except ValidationError as error:
            if status in (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE):
                raise EnrolError(EnrolFault.BUSY, "the service is busy") from error
            raise EnrolError(
                HostFault.NOT_THE_SERVICE, f"{self._url} answers with status {status}: is it `livefleet enrol serve`?"
            ) from error
        raise EnrolError(refusal.fault, refusal.message)

    def _parsed(self, model: type[_M], body: bytes) -> _M:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            what = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in what["loc"])
            raise EnrolError(
                HostFault.NOT_THE_SERVICE,
                f"{self._url} answers what this release does not understand ({where or 'text'}: {what['msg']})",
            ) from error


def _answer(
    connection: http.client.HTTPSConnection, method: str, path: str, body: bytes, headers: dict[str, str], until: float
) -> tuple[int, bytes]:
    connection.request(method, path, body or None, headers)
    chunks, size = [], 0
    with connection.getresponse() as response:
        while chunk := response.read1(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise EnrolError(HostFault.NOT_THE_SERVICE, f"the answer has more than {LARGEST_ANSWER} bytes")
            if time.monotonic() > until:
                raise TimeoutError("the answer takes too long")
        return response.status, b"".join(chunks)


class _TrustedConnection(http.client.HTTPSConnection):
    """Connected only where the other side has shown a trusted key."""

    def __init__(self, host: str, port: int, trust: EnrolTrust, timeout_s: float) -> None:
        self._trust = trust
        self._own = _context(trust)
        super().__init__(host, port, timeout=timeout_s, context=self._own)

    def connect(self) -> None:
        """Handshake, then compare; a request follows only after that."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        try:
            secured = self._own.wrap_socket(plain, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise _distrust(error, self.host) from error
        except OSError:
            plain.close()
            raise
        shown = secured.getpeercert(binary_form=True)
        pin = _pin_or_none(shown)
        if self._trust.pins and not any(hmac.compare_digest(pin, known) for known in self._trust.pins):
            secured.close()
            raise EnrolError(
                HostFault.PIN_MISMATCH,
                f"who answers at {self.host} has the key {pin}, and this image trusts {', '.join(self._trust.pins)}:"
                " somebody sits in between, or the service has a new key; then make the image anew with it",
            )
        self.sock = secured


def _pin_or_none(shown: bytes | None) -> str:
    try:
        return public_key_pin(shown or b"")
    except (ValueError, UnsupportedAlgorithm):
        return "of no known kind"


def _context(trust: EnrolTrust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.ca is not None:
        context.load_verify_locations(cadata=trust.ca)
        return context
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin decides, before anything is sent
    return context


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> EnrolError:
    if error.verify_code in (_NOT_YET_VALID, _EXPIRED):
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return EnrolError(
            HostFault.CLOCK_WRONG,
            f"{error.verify_message} by this host's clock, which says {now}: if that is wrong, set it or wait for time"
            " synchronisation; if it is right, the service needs a new certificate",
        )
    return EnrolError(
        HostFault.NOT_TRUSTED,
        f"who answers at {host} is not trusted ({error.verify_message}): somebody sits in between, or the image has the"
        " wrong `trust`",
    )
