"""Raw bytes at the front door that no HTTP client would send: requests with two readings, and none at all."""

import asyncio
import contextlib
import ssl

import pytest

from livefleet.wire.server.http_answers import MAX_BODY
from tests.builders.hostile_http import a_raw_peer, split_answers
from tests.builders.wire import RecordingTranscoder, TabPayments, a_payment, credentials_for, work_headers

pytestmark = pytest.mark.component

POST = b"POST /segment HTTP/1.1\r\nHost: o\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: o\r\n\r\n"
SOURCE = b"S" * 5000


async def first_status(uri, data, *, patience_s=10):
    """Of the first answer to `data`, and whether the connection ends without a second one."""
    async with a_raw_peer(uri) as peer:
        with contextlib.suppress(ConnectionError):
            await peer.send(data)
        answers = split_answers(await peer.rest(patience_s=patience_s))
    return answers[0].status, len(answers) == 1


@pytest.fixture
async def node(serve):
    return await serve(transcoder=RecordingTranscoder())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 501),
        (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED, 501),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 501),
        (POST + b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 40\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Content-Length: 5, 5\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Content-Length: +5\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Content-Length: -1\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Content-Length: 0x5\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"X-Return: a\rContent-Length: 5\r\n\r\n" + SMUGGLED, 400),
        (POST + b"X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"Host: other\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, 400),
        (b"POST /segment HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, 400),
        (b"GET /healthz HTTP/1.1\r\nHost : o\r\n\r\n" + SMUGGLED, 400),
        (b"GET /healthz HTTP/9.9\r\nHost: o\r\n\r\n" + SMUGGLED, 505),
        (b"CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: o\r\n\r\n" + SMUGGLED, 400),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: o\r\n\r\n" + SMUGGLED, 414),
        (POST + b"X: " + b"a" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, 400),
        (POST + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(100)) + b"\r\n" + SMUGGLED, 400),
        (b"\x16\x03\x01 no request at all\r\n\r\n" + SMUGGLED, 400),
    ],
    ids=lambda value: None if isinstance(value, int) else repr(value[:90])[2:],
)
async def test_request_with_two_readings__has_one_answer_and_the_connection_ends(node, request_, status):
    assert await first_status(node.uri, request_) == (status, True)
    assert (await node.http.get(f"{node.uri}/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET https://elsewhere.example/healthz HTTP/1.1", 200),  # ours to answer, nobody's to forward
        (b"GET /stream/../healthz HTTP/1.1", 404),
        (b"GET /stream/%2e%2e/healthz HTTP/1.1", 404),
        (b"GET /stream/%00 HTTP/1.1", 400),
        (b"GET /../../etc/passwd HTTP/1.1", 400),
        (b"TRACE / HTTP/1.1", 405),
        (b"PUT /healthz HTTP/1.1", 405),
        (b"POST /net.Orchestrator/Ping HTTP/1.1", 404),
        (b"POST /%6eet.Orchestrator/Ping HTTP/1.1", 404),
        (b"POST /net.Nobody/Nothing HTTP/1.1", 404),
    ],
)
async def test_path_that_is_none_of_ours__is_answered_as_such(node, line, status):
    assert await first_status(node.uri, line + b"\r\nHost: o\r\nConnection: close\r\n\r\n") == (status, True)


async def test_line_feeds_alone__are_one_request_and_no_second(node):
    data = b"POST /segment HTTP/1.1\nHost: o\nContent-Length: 0\nConnection: close\n\n" + SMUGGLED
    assert await first_status(node.uri, data) == (403, True)


async def test_upgrade__to_anything__is_not_taken_up(node):
    for protocol in (b"h2c", b"websocket"):
        data = b"GET /healthz HTTP/1.1\r\nHost: o\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % protocol
        async with a_raw_peer(node.uri) as peer:
            await peer.send(data)
            assert (await peer.head()).startswith(b"HTTP/1.1 200")


async def test_body__ends_before_its_length__costs_nothing_and_goes_nowhere(serve):
    transcoder, payments = RecordingTranscoder(), TabPayments()
    node = await serve(transcoder=transcoder, payments=payments)
    await _send_short(node, b"Content-Length: 5000\r\n\r\n" + SOURCE[:100])
    await _send_short(node, b"Transfer-Encoding: chunked\r\n\r\n64\r\n" + SOURCE[:100] + b"\r\n")
    answer = await node.segment(SOURCE, await _headers(node))  # the node lives, and the session has room
    assert answer.error is None
    assert len(transcoder.jobs) == 1
    assert len(payments.debits) == 1


async def test_body__longer_than_its_length__is_another_request(node):
    """What follows is never taken for a part of the segment, whose hash proves it."""
    head = await _raw_head(node) + b"Content-Length: %d\r\n\r\n" % len(SOURCE)
    async with a_raw_peer(node.uri) as peer:
        await peer.send(head + SOURCE + b"and more\r\n\r\n")
        answers = split_answers(await peer.rest())
    assert [answer.status for answer in answers] == [200, 400]


@pytest.mark.parametrize("framing", ["announced", "chunked"])
async def test_body__too_large__is_500_and_no_job(serve, framing):
    transcoder = RecordingTranscoder()
    node = await serve(transcoder=transcoder)
    head = await _raw_head(node)
    block = b"x" * 1_000_000
    async with a_raw_peer(node.uri) as peer:
        if framing == "announced":
            await peer.send(head + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1))
        else:
            await peer.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                for _ in range(MAX_BODY // len(block) + 2):
                    await peer.send(b"%x\r\n" % len(block) + block + b"\r\n")
        (answer,) = split_answers(await peer.rest())
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert not transcoder.jobs


async def test_body__nobody_asked_for_it__is_not_read(node):
    """Refused by its headers: the answer is there before the body, of which no more than a socket's worth is taken."""
    async with a_raw_peer(node.uri) as peer:
        await peer.send(POST + b"Content-Length: 200000000\r\n\r\n")
        assert (await peer.head()).startswith(b"HTTP/1.1 403")


async def test_body__too_slow__gives_its_place_back(serve):
    """A gateway waits max(8 s, 4 durations) for its whole call; who sends for longer is none, and holds a place."""
    node = await serve(transcoder=RecordingTranscoder(), max_sessions=1)
    async with a_raw_peer(node.uri) as peer:
        await peer.send(await _raw_head(node, duration_ms=100) + b"Content-Length: 5000\r\n\r\nS")

        async def trickle():
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while True:
                    await peer.send(b"S")
                    await asyncio.sleep(0.5)

        trickling = asyncio.create_task(trickle())
        assert (await peer.head()).startswith(b"HTTP/1.1 500")
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
    assert (await node.segment(SOURCE, await _headers(node))).error is None


async def _headers(node, **changes):
    token = (await node.info()).auth_token
    return work_headers(credentials_for(token, SOURCE, **changes), a_payment())


async def _raw_head(node, **changes):
    headers = await _headers(node, **changes)
    return POST + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


async def _send_short(node, rest):
    async with a_raw_peer(node.uri) as peer:
        await peer.send(await _raw_head(node) + rest)
