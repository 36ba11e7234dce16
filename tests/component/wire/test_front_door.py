import asyncio
import contextlib
import os
import signal
import socket
import ssl
import time

import pytest

from livefleet.kernel import Status
from livefleet.wire import FrontDoorClosed
from livefleet.wire.server import FRONT_DOOR_OPEN
from livefleet.wire.server.nginx import Nginx, find_nginx
from tests.builders.wire import RecordingTranscoder, credentials_for, free_port, until, work_headers

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000


async def test_front_door__open__offers_both_protocols_and_reports(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    assert orchestrator.condition(FRONT_DOOR_OPEN).status is Status.TRUE
    host, port = orchestrator.uri.removeprefix("https://").split(":")
    for offered, chosen in ((["h2"], "h2"), (["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2"), (None, None)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if offered:
            context.set_alpn_protocols(offered)
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        writer.close()


async def test_nginx_killed__is_started_again(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    before = orchestrator.server.snapshot()
    statuses = []
    orchestrator.board.on_change(lambda after, _: statuses.append(after.reason))
    os.kill(before.nginx_pid, signal.SIGTERM)  # all of it; a master killed with -9 leaves a worker on the port
    await until(lambda: "Listening" in statuses)
    after = orchestrator.server.snapshot()
    assert statuses == ["NginxEnded", "Listening"]
    assert (after.front_door_restarts, after.front_door_open) == (1, True)
    assert after.nginx_pid != before.nginx_pid
    assert (await orchestrator.info()).auth_token is not None


async def test_nginx_master_killed_hard__door_opens_again(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    os.kill(orchestrator.server.snapshot().nginx_pid, signal.SIGKILL)
    await until(lambda: orchestrator.server.snapshot().front_door_restarts == 1)
    await until(lambda: orchestrator.server.snapshot().front_door_open)
    assert (await orchestrator.info()).auth_token is not None


async def test_left_over_nginx__of_a_killed_agent__gives_the_port_back(serve):
    port = free_port()
    orchestrator = await serve(transcoder=RecordingTranscoder(), port=port)
    await orchestrator.server.__aexit__(None, None, None)
    config = orchestrator.run_dir / "nginx.conf"
    async with asyncio.TaskGroup() as group:
        left_over = Nginx(program=find_nginx(), listen=f"127.0.0.1:{port}", config=config, run_dir=orchestrator.run_dir)
        await left_over.start(group)
        again = await serve(transcoder=RecordingTranscoder(), port=port)
        assert (await again.info()).auth_token is not None
        assert await left_over.wait() == 0


async def test_program_gone__is_a_door_that_can_be_tried_again(run_dir):
    gone = Nginx(program="/nowhere/nginx", listen="127.0.0.1:1", config=run_dir / "nginx.conf", run_dir=run_dir)
    async with asyncio.TaskGroup() as group:
        with pytest.raises(FrontDoorClosed, match="cannot start /nowhere/nginx: No such file"):
            await gone.start(group)


async def test_port_taken__says_so(serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(FrontDoorClosed, match="Address already in use"):
            await serve(transcoder=RecordingTranscoder(), port=taken.getsockname()[1])


async def test_stop__segment_under_way__is_answered(serve):
    transcoder = RecordingTranscoder()
    transcoder.gate.clear()
    orchestrator = await serve(transcoder=transcoder, drain_s=20)
    token = (await orchestrator.info()).auth_token

    async def answer_late():
        await until(lambda: orchestrator.condition(FRONT_DOOR_OPEN).reason == "Draining")
        transcoder.gate.set()

    async with asyncio.TaskGroup() as group:
        sent = group.create_task(
            orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), signer=None))
        )
        await until(lambda: transcoder.jobs)
        group.create_task(answer_late())
        await orchestrator.server.__aexit__(None, None, None)
        outcome = await sent
    assert outcome.error is None
    host, port = orchestrator.uri.removeprefix("https://").split(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_stop__result_not_fetched_yet__door_stays_open_for_it(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder(), fetch_s=20)
    info = await orchestrator.info()
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials_for(info.auth_token, SOURCE), signer=None))
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(orchestrator.server.__aexit__(None, None, None))
        await until(lambda: orchestrator.condition(FRONT_DOOR_OPEN).reason == "Draining")
        refused = await orchestrator.http.post(
            f"{orchestrator.uri}/segment",
            content=SOURCE,
            headers=work_headers(credentials_for(info.auth_token, SOURCE), signer=None),
        )
        assert (refused.status_code, refused.text.strip()) == (403, "OrchestratorCapped")
        for rendition in outcome.renditions:
            assert not stopping.done()
            assert (await orchestrator.http.get(rendition.url)).content
        async with asyncio.timeout(15):  # nothing is left to be fetched
            await stopping


async def test_stop__nobody_lets_go__is_bounded(serve):
    transcoder = RecordingTranscoder()
    transcoder.gate.clear()
    orchestrator = await serve(transcoder=transcoder, drain_s=0.5)
    token = (await orchestrator.info()).auth_token
    async with asyncio.TaskGroup() as group:
        headers = work_headers(credentials_for(token, SOURCE), signer=None)

        async def send():
            with contextlib.suppress(Exception):  # whatever a cut connection looks like
                await orchestrator.segment(SOURCE, headers)

        group.create_task(send())
        await until(lambda: transcoder.jobs)
        started = time.monotonic()
        await orchestrator.server.__aexit__(None, None, None)
        assert time.monotonic() - started < 20
    assert transcoder.ended == [token.session]


async def test_certificate__server_restarts__is_the_same(serve):
    port = free_port()
    first = await serve(transcoder=RecordingTranscoder(), port=port)
    shown = ssl.get_server_certificate(("127.0.0.1", port))
    await first.server.__aexit__(None, None, None)
    await serve(transcoder=RecordingTranscoder(), port=port)
    assert ssl.get_server_certificate(("127.0.0.1", port)) == shown
