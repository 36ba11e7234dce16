"""Judges the way to an orchestrator: name, connection, TLS, answer time, HTTP. Pure."""

import ipaddress
import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta

from livefleet.wire.gateway.selection.models import (
    Answer,
    Certificate,
    Connection,
    HttpFacts,
    Name,
    Row,
    TlsFacts,
    Verdict,
)

__all__ = [
    "CALL_LIMIT_S",
    "CONNECT_LIMIT_S",
    "judge_answer_time",
    "judge_certificate",
    "judge_http",
    "judge_name",
    "judge_tcp",
    "judge_tls",
]

CALL_LIMIT_S = 6.0
"""After this a gateway gives discovery up."""

CONNECT_LIMIT_S = 3.0
"""After this a gateway gives a connection up."""

_BARE_TEXTS = ("ErrSegSig", "missing auth token")  # on-chain, off-chain
_EXPIRES_SOON = timedelta(days=14)


def judge_name(host: str, name: Name) -> Row:
    """Whether the host's name leads somewhere that the whole network can reach."""
    if not name.addresses:
        return Row("dns", Verdict.FAIL, f"{host}: {name.error}", "set an A or AAAA record, or register the IP address")
    found = ", ".join(name.addresses)
    inner = [address for address in name.addresses if not ipaddress.ip_address(address).is_global]
    if inner:
        return Row(
            "dns", Verdict.WARN, found, f"{', '.join(inner)} cannot be reached from outside; use a public address"
        )
    return Row("dns", Verdict.OK, found)


def judge_tcp(connections: Sequence[Connection]) -> Row:
    """Whether the port takes connections, as far as can be told from here."""
    reached = [c for c in connections if not c.error]
    failed = [c for c in connections if c.error]
    found = "; ".join(
        [f"{c.address} in {c.seconds * 1000:.0f} ms from {c.source}" for c in reached]
        + [f"{c.address}: {c.error}" for c in failed]
    )
    if not reached:
        return Row("tcp", Verdict.FAIL, found, "start the node; open the port in firewall, router and cloud rules")
    if failed:
        return Row("tcp", Verdict.WARN, found, "gateways may take either address: serve on all or drop the record")
    if any(not ipaddress.ip_address(c.address).is_global or c.address == c.source for c in reached):
        return Row("tcp", Verdict.WARN, found, "this was not from outside: ask again from a machine in another network")
    return Row("tcp", Verdict.OK, f"{found} (seen from this network only)")


def judge_tls(tls: TlsFacts) -> Row:
    """Whether gRPC and HTTP clients both come through the handshake."""
    if tls.both is None:
        return Row("tls", Verdict.FAIL, tls.error, "gateways dial with TLS only: serve it, or end it before the node")
    found = f"{tls.both.protocol}, ALPN {tls.both.alpn or 'none'}"
    if tls.both.alpn != "h2":
        return Row("tls", Verdict.FAIL, found, "a gateway's gRPC refuses a server that does not select h2: offer it")
    if tls.plain is None or tls.plain.alpn not in {None, "http/1.1"}:
        return Row(
            "tls", Verdict.WARN, f"{found}, not http/1.1 ({tls.error or 'not selected'})", "offer http/1.1 by ALPN too"
        )
    return Row("tls", Verdict.OK, f"{found} and http/1.1")


def judge_certificate(host: str, first: Certificate, second: Certificate | None, now: datetime) -> Row:
    """go-livepeer does not verify; the official SDK pins what it sees first, and gRPC looks at the dates."""
    found = f"for {', '.join(first.names) or 'nobody'}, until {first.not_after:%Y-%m-%d}"
    if not first.not_before <= now < first.not_after:
        return Row("certificate", Verdict.FAIL, f"{found}: not valid now", "renew it; check the host's clock")
    if second is not None and second.der != first.der:
        return Row(
            "certificate",
            Verdict.WARN,
            f"{found}, and another one on the next connection",
            "serve one certificate everywhere behind this address: SDK clients pin it",
        )
    if host not in first.names:
        return Row("certificate", Verdict.WARN, f"{found}, not {host}", f"make one whose SAN is {host}")
    if first.not_after - now < _EXPIRES_SOON:
        return Row("certificate", Verdict.WARN, found, "renew it")
    return Row("certificate", Verdict.OK, f"{found}, the same on two connections")


def judge_answer_time(tries: Sequence[Answer], within_s: float) -> Row:
    """Whether GetOrchestrator is answered before a gateway has made its choice."""
    failures = [t.failure for t in tries if t.failure]
    times = sorted(t.seconds for t in tries if not t.failure)
    if not times:
        return Row("answer time", Verdict.FAIL, failures[0], "see the node's log and `livefleet status`")
    median, slowest = statistics.median(times), times[-1]
    # Of a handful of tries the slowest is the 95th percentile.
    found = (
        f"median {median * 1000:.0f} ms, p95 {slowest * 1000:.0f} ms of {len(times)} fresh connections, TLS included;"
        f" first wait {within_s * 1000:.0f} ms"
    )
    if failures:
        return Row("answer time", Verdict.FAIL, f"{found}; {len(failures)} lost: {failures[0]}", "see the node's log")
    if median > within_s:
        return Row(
            "answer time", Verdict.FAIL, found, "whoever answers faster is taken: be nearer to gateways, or less loaded"
        )
    if slowest > within_s:
        return Row("answer time", Verdict.WARN, found, "at times too late: look for load, or a slow chain endpoint")
    return Row("answer time", Verdict.OK, found)


def judge_http(http: HttpFacts) -> Row:
    """Whether work can be posted beside gRPC on the same port."""
    if http.error:
        return Row("http", Verdict.FAIL, http.error, "route everything but gRPC to the node's HTTP side")
    found = (
        f"/healthz {http.health_status}; bare POST /segment {http.bare_version} {http.bare_status} {http.bare_text};"
        f" bad payment {http.junk_status}"
    )
    if http.bare_status != 403 or http.bare_text not in _BARE_TEXTS or http.junk_status != 402:
        advice = f"expected 403 {' or '.join(_BARE_TEXTS)}, and 402: something else answers there"
        return Row("http", Verdict.FAIL, found, advice)
    if http.bare_version != "HTTP/2" or http.health_status != 200:
        return Row("http", Verdict.WARN, found, "expected 200, and HTTP/2")
    return Row("http", Verdict.OK, found)
