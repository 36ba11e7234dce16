"""A node's public door as somebody else finds it: its name, its port, its certificate."""

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from livefleet.spec import Finding, Grade, Trouble

__all__ = ["OutsideView", "judge_outside", "look_from_outside"]

_DAY_S: Final = 86_400
_ENDS_SOON_DAYS: Final = 14
_SLOW_S: Final = 1.0
"""A gateway waits 500 ms for an answer, connection included."""


@dataclass(frozen=True, slots=True)
class OutsideView:
    """What was found behind a service URI."""

    uri: str
    addresses: tuple[str, ...] = ()
    no_name: str = ""  # why the name has no address
    no_door: str = ""  # why the port was not reached
    is_refused: bool = False  # somebody said no, at once
    connected_in_s: float | None = None
    no_tls: str = ""  # why it speaks no TLS
    certificate_ends: float | None = None  # unix seconds


def look_from_outside(uri: str, *, within_s: float = 5.0) -> OutsideView:
    """Look up, connect, shake hands. Blocks, at most about three times `within_s`."""
    parts = urlsplit(uri)
    host, port = parts.hostname or "", parts.port or 443
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return OutsideView(uri, no_name=getattr(error, "strerror", None) or str(error))
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    began = time.monotonic()
    try:
        connection = socket.create_connection((host, port), timeout=within_s)
    except OSError as error:
        is_refused = isinstance(error, ConnectionRefusedError)
        return OutsideView(uri, addresses, no_door=_why(error, within_s), is_refused=is_refused)
    with connection:
        took = time.monotonic() - began
        # As gateways do: orchestrators sign their certificates themselves.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with context.wrap_socket(connection, server_hostname=host) as secured:
                certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        except (OSError, ValueError) as error:
            return OutsideView(uri, addresses, connected_in_s=took, no_tls=_why(error, within_s))
    ends = certificate.not_valid_after_utc.timestamp()
    return OutsideView(uri, addresses, connected_in_s=took, certificate_ends=ends)


def judge_outside(view: OutsideView, *, now: float, where: str, strict: bool) -> list[Finding]:
    """What it means for gateways. Pure.

    `where`: whose view it is. `strict`: a port that is not reached from there is wrong, else only to watch.
    """
    if view.no_name:
        text = f"from {where}: {view.no_name}"
        fix = "make the DNS record, or declare a service_uri whose name there is (`livefleet chain plan` registers it)"
        return [Finding.bad(Trouble.NO_NAME, "dns", view.uri, text, fix)]
    text = f"from {where}: {', '.join(view.addresses)}"
    found = [Finding(area="dns", what=view.uri, grade=Grade.OK, message=text)]
    if view.no_door:
        return [*found, _shut(view, where, Grade.FAIL if strict else Grade.WARN)]
    found.append(_reached(view, where))
    if view.no_tls:
        text = f"from {where}: no TLS: {view.no_tls}"
        fix = "another program has the port, or something between ends TLS: forward TCP as it is"
        return [*found, Finding.bad(Trouble.NO_TLS, "certificate", view.uri, text, fix)]
    return [*found, _certificate(view, now)]


def _shut(view: OutsideView, where: str, grade: Grade) -> Finding:
    text = f"from {where}: {view.no_door}"
    if view.is_refused:
        fix = "nobody listens there: see whether the node runs (`systemctl status livefleet`), and where the router"
        return Finding.bad(Trouble.PORT_REFUSED, "ports", view.uri, text, f"{fix} forwards the port to", grade)
    fix = "open the port in the firewall and forward it in the router; from a host's own network it may stay shut"
    return Finding.bad(Trouble.PORT_SILENT, "ports", view.uri, text, fix, grade)


def _reached(view: OutsideView, where: str) -> Finding:
    took = view.connected_in_s or 0.0
    text = f"reached from {where} in {took * 1000:.0f} ms"
    if took > _SLOW_S:
        fix = "gateways give up after 500 ms; look at the way there: `mtr`"
        return Finding.bad(Trouble.PORT_SLOW, "ports", view.uri, text, fix, Grade.WARN)
    return Finding(area="ports", what=view.uri, grade=Grade.OK, message=text)


def _certificate(view: OutsideView, now: float) -> Finding:
    days = ((view.certificate_ends or 0.0) - now) / _DAY_S
    fix = "renew it; the node's own is renewed by itself, so look at `orchestrator.tls` and at the host's clock"
    if days < 0:
        return Finding.bad(Trouble.CERTIFICATE_ENDED, "certificate", view.uri, f"ended {-days:.0f} days ago", fix)
    text = f"good for {days:.0f} more days"
    if days < _ENDS_SOON_DAYS:
        return Finding.bad(Trouble.CERTIFICATE_ENDS_SOON, "certificate", view.uri, text, fix, Grade.WARN)
    return Finding(area="certificate", what=view.uri, grade=Grade.OK, message=text)


def _why(error: Exception, within_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {within_s:g} s"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
