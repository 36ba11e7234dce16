"""Several orchestrators behind one address: told in `nodes`, followed by a gateway, paid one by one."""

import asyncio

import pytest

from livefleet.kernel import ConditionBoard, OutsideWorld, SystemClock
from livefleet.media import CPU, LocalTranscoder
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, StreamClient, discover
from tests.builders.gateways import PROFILES, a_stream, send
from tests.builders.payments import a_desk
from tests.builders.wire import GATEWAY, ORCHESTRATOR, RecordingTranscoder, free_port

pytestmark = pytest.mark.component


async def found(orchestrator, extra_nodes, **settings):
    answer = await discover(parse_endpoint(orchestrator.uri), Payer(None), None, extra_nodes=extra_nodes, **settings)
    return [info.transcoder for _, info in answer.found]


async def test_discover__nodes_told__as_many_as_wanted_are_asked_and_those_away_left_out(serve):
    beside = [await serve(transcoder=RecordingTranscoder(), nodes=("https://127.0.0.1:1",)) for _ in range(2)]
    away, port = f"https://127.0.0.1:{free_port()}", free_port()
    uris = [other.uri for other in beside]
    first = await serve(
        transcoder=RecordingTranscoder(),
        port=port,
        nodes=(uris[0], f"https://127.0.0.1:{port}", uris[0], away, "nonsense:port", uris[1]),
    )
    assert (await first.info()).nodes == (uris[0], first.uri, uris[0], away, "nonsense:port", uris[1])
    assert await found(first, 0) == [first.uri]
    assert await found(first, 1) == [first.uri, uris[0]]
    assert await found(first, 9) == [first.uri, *uris]


async def test_discover__nodes_of_nodes__are_not_followed(serve):
    third = await serve(transcoder=RecordingTranscoder())
    second = await serve(transcoder=RecordingTranscoder(), nodes=(third.uri,))
    first = await serve(transcoder=RecordingTranscoder(), nodes=(second.uri,))
    assert await found(first, 9) == [first.uri, second.uri]


async def test_discover__first_one_away__nodes_known_before_are_asked(serve):
    second = await serve(transcoder=RecordingTranscoder())
    gone = parse_endpoint(f"127.0.0.1:{free_port()}")
    answer = await discover(gone, Payer(None), None, extra_nodes=1, known=(parse_endpoint(second.uri),), timeout_s=20)
    assert [info.transcoder for _, info in answer.found] == [second.uri]
    with pytest.raises(OutsideWorld, match=str(gone)):
        await discover(gone, Payer(None), None, extra_nodes=1)


@pytest.mark.timeout(180)
async def test_stream__two_nodes_with_one_recipient__each_is_used_and_paid(serve, tmp_path, run_dir):
    """Each node has its own store and secrets. The first one dies in the middle of the stream."""
    segments, source = a_stream(4)
    async with (
        a_desk(tmp_path / "one.sqlite3", seed=b"one") as (one, *_),
        a_desk(tmp_path / "two.sqlite3", seed=b"two") as (two, *_),
        LocalTranscoder(
            [CPU], run_dir=run_dir / "media", board=ConditionBoard(SystemClock()), clock=SystemClock(), max_load=50.0
        ) as transcoder,
    ):
        second = await serve(payments=two, signer=ORCHESTRATOR, transcoder=transcoder)
        first = await serve(payments=one, signer=ORCHESTRATOR, transcoder=transcoder, nodes=(second.uri,))
        client = StreamClient(
            parse_endpoint(first.uri), Payer(GATEWAY), PROFILES[:1], manifest_id="live", extra_nodes=3, retry_wait_s=0
        )
        async with client:
            outcomes = await send(client, segments[:2], source)
            assert client.info.transcoder == first.uri
            async with asyncio.timeout(60):
                await first.server.__aexit__(None, None, None)
            outcomes += await send(client, segments[2:], source)
            assert client.info.transcoder == second.uri
            report = client.report(outcomes)
        assert report.ok, (report.failures, [s.problems for s in report.segments])
        assert one.recipient == two.recipient == report.recipient
        received = [desk.snapshot().received.count for desk in (one, two)]
        assert all(received)
        assert sum(received) <= report.spending.tickets  # some went to the node that was gone already
        assert second.server.snapshot().sessions == 0  # the stream's end was told where it was
