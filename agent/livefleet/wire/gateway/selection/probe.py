"""Looks at an orchestrator from outside: name, port, handshake, questions. Finds facts and judges nothing."""

import asyncio
import socket
import ssl
from collections.abc import Sequence

import grpc
import grpc.aio
import httpx
from cryptography import x509

from livefleet.chain import recover_address
from livefleet.kernel import Clock
from livefleet.wire.channel import Endpoint, channel_trusting, insecure_tls_context
from livefleet.wire.gateway.discovery import request_for
from livefleet.wire.gateway.payer import Payer
from livefleet.wire.gateway.selection.models import (
    Answer,
    Answers,
    Certificate,
    Connection,
    Handshake,
    HttpFacts,
    Name,
    Question,
    TlsFacts,
)
from livefleet.wire.gateway.selection.path import CALL_LIMIT_S, CONNECT_LIMIT_S
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from livefleet.wire.signing import ping_message
from livefleet.wire.translate import capabilities_to_proto, info_from_proto

__all__ = ["ask", "connect_each", "handshake_twice", "post_without_credentials", "resolve"]

_TRIES = 5


async def resolve(endpoint: Endpoint) -> Name:
    """Every address of the host's name."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CALL_LIMIT_S):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Name(error=f"no answer from the resolver within {CALL_LIMIT_S:g} s")
    except (OSError, UnicodeError) as error:
        return Name(error=str(error))
    return Name(tuple(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found)))


async def connect_each(endpoint: Endpoint, addresses: Sequence[str], clock: Clock) -> tuple[Connection, ...]:
    """One connection to each address."""
    return tuple(await asyncio.gather(*(_connect(address, endpoint.port, clock) for address in addresses)))


async def _connect(address: str, port: int, clock: Clock) -> Connection:
    began = clock.monotonic()
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return Connection(address, error=f"no connection within {CONNECT_LIMIT_S:g} s")
    except OSError as error:
        return Connection(address, error=error.strerror or str(error))
    seconds = clock.monotonic() - began
    source = str(writer.get_extra_info("sockname")[0])
    writer.transport.abort()
    return Connection(address, seconds, source)


async def handshake_twice(endpoint: Endpoint) -> TlsFacts:
    """Once as a client that speaks HTTP/2 too, once as one that does not."""
    try:
        both = await _handshake(endpoint, ["h2", "http/1.1"])
    except (OSError, ValueError) as error:
        return TlsFacts(error=_words(error))
    try:
        return TlsFacts(both, await _handshake(endpoint, ["http/1.1"]))
    except (OSError, ValueError) as error:
        return TlsFacts(both, error=_words(error))


async def _handshake(endpoint: Endpoint, alpn: list[str]) -> Handshake:
    """Raises OSError (TimeoutError and SSLError are), or ValueError for a certificate that cannot be read."""
    async with asyncio.timeout(CONNECT_LIMIT_S):
        _, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=insecure_tls_context(alpn))
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return Handshake(
            protocol=tls.version() or "",
            alpn=tls.selected_alpn_protocol(),
            certificate=_certificate(tls.getpeercert(binary_form=True) or b""),
        )
    finally:
        writer.transport.abort()


def _certificate(der: bytes) -> Certificate:
    certificate = x509.load_der_x509_certificate(der)
    names: list[str] = []
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += extension.get_values_for_type(x509.DNSName)
        names += map(str, extension.get_values_for_type(x509.IPAddress))
    except x509.ExtensionNotFound:
        pass
    return Certificate(der, tuple(names), certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _words(error: OSError | ValueError) -> str:
    match error:
        case TimeoutError():
            return f"no handshake within {CONNECT_LIMIT_S:g} s"
        case ssl.SSLError():
            return f"no TLS there: {error.reason or error}"
        case _:
            return f"the handshake failed: {error}"


async def ask(question: Question, tls: TlsFacts, clock: Clock, challenge: bytes) -> Answers:
    """GetOrchestrator several times for the job and once in general, then Ping; each on a connection of its own."""
    assert tls.both is not None, "there is nothing to trust without a handshake"
    certificates = [h.certificate.der for h in (tls.both, tls.plain) if h is not None]
    payer, needs = Payer(question.signer), capabilities_to_proto(question.job.needs)
    tries: list[Answer] = []
    while len(tries) < _TRIES and not (tries and tries[-1].failure):
        tries.append(await _get_orchestrator(question.endpoint, certificates, request_for(payer, needs), clock))
    general = Answer(0.0, failure="not asked")
    signer, error = None, "not asked"
    if not tries[-1].failure:
        general = await _get_orchestrator(question.endpoint, certificates, request_for(payer, None), clock)
        signer, error = await _ping(question.endpoint, certificates, challenge)
    return Answers(tuple(tries), general, signer, error)


async def _get_orchestrator(
    endpoint: Endpoint, certificates: Sequence[bytes], request: pb.OrchestratorRequest, clock: Clock
) -> Answer:
    channel = channel_trusting(certificates, endpoint)
    began = clock.monotonic()
    try:
        message = await rpc.OrchestratorStub(channel).GetOrchestrator(request, timeout=CALL_LIMIT_S)
        seconds = clock.monotonic() - began
        return Answer(seconds, info=info_from_proto(message))
    except grpc.aio.AioRpcError as error:
        seconds, text = clock.monotonic() - began, error.details() or error.code().name
        if error.code() is grpc.StatusCode.UNKNOWN:  # go-livepeer's way of saying no
            return Answer(seconds, refusal=text)
        return Answer(seconds, failure=f"{error.code().name}: {text}")
    except ValueError as error:
        return Answer(clock.monotonic() - began, failure=f"the answer cannot be read: {error}")
    finally:
        await channel.close(None)


async def _ping(endpoint: Endpoint, certificates: Sequence[bytes], challenge: bytes) -> tuple[bytes | None, str]:
    """(who signed the challenge, what went wrong)."""
    channel = channel_trusting(certificates, endpoint)
    try:
        answer = await rpc.OrchestratorStub(channel).Ping(pb.PingPong(value=challenge), timeout=CALL_LIMIT_S)
    except grpc.aio.AioRpcError as error:
        return None, f"{error.code().name}: {error.details()}"
    finally:
        await channel.close(None)
    return recover_address(ping_message(challenge), answer.value), ""


async def post_without_credentials(endpoint: Endpoint) -> HttpFacts:
    """Three requests that any orchestrator knows the answer to, over HTTP/2 where it is offered."""
    url = f"https://{endpoint}"
    try:
        async with httpx.AsyncClient(http2=True, verify=False, timeout=CALL_LIMIT_S) as http:  # noqa: S501 -- self-signed by design
            health = await http.get(f"{url}/healthz")
            bare = await http.post(f"{url}/segment")
            junk = await http.post(f"{url}/segment", headers={"Livepeer-Payment": "no base64"})
    except httpx.HTTPError as error:
        return HttpFacts(error=f"{type(error).__name__} {error}".strip())
    return HttpFacts(
        health_status=health.status_code,
        bare_version=bare.http_version,
        bare_status=bare.status_code,
        bare_text=bare.text.strip()[:200],
        junk_status=junk.status_code,
    )
