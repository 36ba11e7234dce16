"""HTTP/2 as no client speaks it, at the front door of a whole agent: floods, bombs, lies, and peers that hang on.

Beside each an honest gateway streams over a connection of its own; the agent's and nginx's memory is looked at.
"""

import asyncio
import contextlib

import httpx
import hyperframe.frame as frames
import pytest

from livefleet.wire.proto import lp_rpc_pb2 as pb
from tests.builders.agents import an_agent
from tests.builders.gateways import SingleRequests, a_stream
from tests.builders.hostile_http import a_raw_peer, an_http2_peer, resident_mb

pytestmark = [pytest.mark.component, pytest.mark.timeout(240)]

GROWTH_MB = 250  # what one hostile address may cost while it is at it, a thousand held requests included
GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
PSEUDO = [(":method", "GET"), (":scheme", "https"), (":authority", "o"), (":path", "/healthz")]


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with an_agent(
        tmp_path_factory.mktemp("hostile"),
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties={"transcoding": {"encoder": "software", "max_load": 50}},
    ) as agent:
        yield agent


@contextlib.asynccontextmanager
async def honest_work_beside(agent):
    """Segments sent all the while, each answered; and the memory that all of it took."""
    segments, _ = a_stream(3)
    before = resident_mb(agent.process.pid)
    peak, sent = before, 0
    pids = [process.pid for process in agent.family()]
    going = True

    async def stream():
        nonlocal sent, peak
        async with SingleRequests(agent.service_uri, None) as gateway:
            while going or not sent:
                status, text, result = await gateway.post(segments[sent % 3], "")
                assert (status, text, result.error) == (200, "", "")
                sent += 1
                peak = max(peak, resident_mb(agent.process.pid))

    async with asyncio.TaskGroup() as group:
        streaming = group.create_task(stream())
        yield
        going = False
        async with asyncio.timeout(120):
            await streaming
    assert sent
    assert peak - before < GROWTH_MB
    assert agent.get("/healthz")[0] == 200
    assert [process.pid for process in agent.family()] == pids, "nothing was restarted"


async def flood(peer, make, count, *, at_once=500):
    """Send frames until there are enough or the connection is closed; how many went out."""
    for number in range(0, count, at_once):
        await peer.send(*(make(number + n) for n in range(at_once)))
        with contextlib.suppress(TimeoutError):
            await peer.until_closed(patience_s=0.01)
        if peer.closed:
            return number
    return count


async def is_alive(uri):
    async with an_http2_peer(uri) as peer:
        await peer.send(peer.request(1))
        await peer.until(1)
        return peer.status(1) == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda _: frames.PingFrame(0, b"01234567"),
        lambda n: frames.SettingsFrame(0, settings={4: 65535 + n % 1000}),
        lambda n: frames.PriorityFrame(2 * n + 1, depends_on=0, stream_weight=1),
        lambda _: frames.WindowUpdateFrame(0, window_increment=1),
        lambda _: frames.DataFrame(1, b""),
        lambda n: frames.RstStreamFrame(2 * n + 1, error_code=8),
    ],
    ids=["ping", "settings", "priority", "window update", "empty data", "reset of nothing"],
)
async def test_flood_of_small_frames__is_shrugged_off(agent, make):
    async with honest_work_beside(agent), an_http2_peer(agent.service_uri) as peer:
        await flood(peer, make, 20_000)
    assert await is_alive(agent.service_uri)


async def test_rapid_reset__requests_are_given_up(agent):
    async with honest_work_beside(agent), an_http2_peer(agent.service_uri) as peer:

        def a_pair(number):
            stream = 2 * number + 1
            request = peer.request(stream, path="/stream/x").serialize()
            return request + frames.RstStreamFrame(stream, error_code=8).serialize()

        await flood(peer, a_pair, 5000, at_once=100)
    assert await is_alive(agent.service_uri)


async def test_headers_that_never_end__end_the_connection(agent):
    async with honest_work_beside(agent), an_http2_peer(agent.service_uri) as peer:
        await peer.send(frames.HeadersFrame(1, peer.encoder.encode(PSEUDO)))

        def more(number):
            return frames.ContinuationFrame(1, peer.encoder.encode([(f"x-{number}", "y" * 100)]))

        assert await flood(peer, more, 20_000, at_once=100) < 20_000
        assert peer.goaway is not None


async def test_header_bomb__a_few_bytes_stand_for_megabytes__is_refused(agent):
    async with honest_work_beside(agent), an_http2_peer(agent.service_uri) as peer:
        await peer.send(peer.headers_of(1, [*PSEUDO, ("x-bomb", "z" * 3900)]))
        repeated = b"\xbe" * 15_000  # the header that was indexed first, 58 MB in all
        bombs = range(3, 203, 2)
        for stream in bombs:
            frame = frames.HeadersFrame(stream, peer.encoder.encode(PSEUDO) + repeated)
            frame.flags |= {"END_HEADERS", "END_STREAM"}
            await peer.send(frame)
        await peer.until(1, *bombs)
        assert peer.closed or {peer.status(stream) for stream in bombs} <= {400, 431}
    assert await is_alive(agent.service_uri)


@pytest.mark.parametrize(("path", "fields"), [("/net.Orchestrator/Ping", GRPC), ("/segment", ())])
async def test_requests_that_never_end__leave_room_for_others(agent, path, fields):
    """More streams than are allowed on each of several connections, and more than one address may hold in all."""
    async with honest_work_beside(agent), contextlib.AsyncExitStack() as stack:
        for _ in range(8):
            peer = await stack.enter_async_context(an_http2_peer(agent.service_uri))
            for number in range(0, 600, 100):
                await peer.send(
                    *(
                        peer.request(2 * n + 1, fields, method="POST", path=path, ends=False)
                        for n in range(number, number + 100)
                    )
                )
            with contextlib.suppress(TimeoutError):
                await peer.until_closed(patience_s=0.2)
            assert peer.settings[frames.SettingsFrame.MAX_CONCURRENT_STREAMS] == 256
    assert await is_alive(agent.service_uri)


async def test_answers_that_nobody_reads__stay_small(agent):
    async with honest_work_beside(agent), an_http2_peer(agent.service_uri, settings={4: 0}) as peer:
        for number in range(0, 2000, 100):
            await peer.send(*(peer.request(2 * n + 1, path="/stream/x") for n in range(number, number + 100)))
        with contextlib.suppress(TimeoutError):
            await peer.until_closed(patience_s=2)


async def test_rendition__read_by_nobody__costs_no_copy_a_reader(agent):
    segments, _ = a_stream(3)
    async with SingleRequests(agent.service_uri, None) as gateway, httpx.AsyncClient(verify=False) as http:
        _, _, result = await gateway.post(segments[0], "")
        path = result.data.segments[-1].url.removeprefix(agent.service_uri)
        async with honest_work_beside(agent), contextlib.AsyncExitStack() as stack:
            for _ in range(200):
                peer = await stack.enter_async_context(a_raw_peer(agent.service_uri))
                await peer.send(b"GET %s HTTP/1.1\r\nHost: o\r\n\r\n" % path.encode())
        assert len((await http.get(f"{agent.service_uri}{path}")).content) > 0


@pytest.mark.parametrize(
    "fields",
    [
        [*PSEUDO, ("x-split", "a\r\nTransfer-Encoding: chunked")],
        [*PSEUDO, ("x-nul", "a\0b")],
        [*PSEUDO, ("x: y\r\nz", "a")],
        [*PSEUDO, ("Upper", "a")],
        [*PSEUDO, (":path", "/other")],
        [*PSEUDO, ("content-length", "5"), ("content-length", "6")],
        PSEUDO[1:],
        PSEUDO[:-1],
        [*PSEUDO[:-1], (":path", "")],
        [*PSEUDO[:-1], (":path", "healthz")],
        [*PSEUDO[:-1], (":path", "/healthz HTTP/1.1\r\nHost: smuggled")],
        [*PSEUDO[:2], (":authority", "a b"), PSEUDO[3]],
        [*PSEUDO, (":unknown", "a")],
        [(":method", "GET\r\n"), *PSEUDO[1:]],
    ],
    ids=lambda fields: ",".join(f"{name}={value}" for name, value in fields if (name, value) not in PSEUDO)[:60],
)
async def test_fields_that_http1_would_read_otherwise__are_refused(agent, fields):
    async with an_http2_peer(agent.service_uri) as peer:
        await peer.send(peer.headers_of(1, fields))
        await peer.until(1)
        assert peer.closed or 1 in peer.resets or peer.status(1) in {400, 404}
    assert await is_alive(agent.service_uri)


@pytest.mark.parametrize("value", ["chunked", "trailers", "gzip, chunked"])
async def test_transfer_encoding_over_http2__is_no_framing(agent, value):
    """HTTP/2 knows no such header; behind nginx it must not become one."""
    body = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: o\r\n\r\n"
    async with an_http2_peer(agent.service_uri) as peer:
        request = peer.request(1, [("transfer-encoding", value)], method="POST", path="/segment", ends=False)
        await peer.send(request, frames.DataFrame(1, body, flags=["END_STREAM"]), peer.request(3))
        await peer.until(1, 3)
        assert peer.status(1) in {403, 501}
        assert peer.status(3) == 200
    assert await is_alive(agent.service_uri)


@pytest.mark.parametrize("announced", [3, 5000])
async def test_length_that_is_not_the_datas__is_refused(agent, announced):
    async with an_http2_peer(agent.service_uri) as peer:
        request = peer.request(1, [("content-length", str(announced))], method="POST", path="/segment", ends=False)
        await peer.send(request, frames.DataFrame(1, b"hello", flags=["END_STREAM"]))
        await peer.until(1)
        assert peer.closed or 1 in peer.resets or peer.status(1) in {400, 403}
    assert await is_alive(agent.service_uri)


async def test_slow_headers__of_two_hundred_peers__are_cut_off(agent):
    """Byte by byte they come, and after 15 s they come no more."""
    async with honest_work_beside(agent), contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(a_raw_peer(agent.service_uri)) for _ in range(200)]
        ended = asyncio.create_task(_all_ended(peers))
        for peer in peers:
            await peer.send(b"POST /segment HTTP/1.1\r\nHost: o\r\n")
        async with asyncio.timeout(60):
            while not ended.done():
                for peer in peers:
                    with contextlib.suppress(OSError):
                        await peer.send(b"X: y\r\n")
                await asyncio.sleep(1)
        await ended


async def _all_ended(peers):
    await asyncio.gather(*(peer.rest(patience_s=60) for peer in peers))


async def test_random_bytes_after_the_preface__close_the_connection(agent):
    async with a_raw_peer(agent.service_uri, alpn="h2") as peer:
        await peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4000)
        assert await peer.rest() is not None
    assert await is_alive(agent.service_uri)


async def test_grpc__no_message_at_all__harms_that_call_alone(agent):
    path = "/net.Orchestrator/Ping"
    async with an_http2_peer(agent.service_uri) as peer:
        broken = {1: b"\x00\xff\xff\xff\xffx", 3: b"\x01\x00\x00\x00\x01x", 5: b"\x00\x00\x00\x00\x01\xff"}
        endless = {7: b"junk", 9: b"", 11: b"\x00\x00\x00\x00\x05ab"}  # gRPC waits for more of them, nginx for 60 s
        for stream, body in (broken | endless).items():
            await peer.send(
                peer.request(stream, GRPC, method="POST", path=path, ends=False),
                frames.DataFrame(stream, body, flags=["END_STREAM"]),
            )
        await peer.until(*broken)
        assert {peer.headers[stream]["grpc-status"] for stream in broken} <= {"2", "8", "13"}
        good = pb.PingPong(value=b"x").SerializeToString()
        await peer.send(
            peer.request(13, GRPC, method="POST", path=path, ends=False),
            frames.DataFrame(13, b"\x00" + len(good).to_bytes(4, "big") + good, flags=["END_STREAM"]),
        )
        await peer.until(13)
        assert peer.headers[13]["grpc-status"] == "0"
