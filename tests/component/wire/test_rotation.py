"""Secrets of workers and the certificate change under a running stream: nobody's connection ends, no segment fails."""

import asyncio
import contextlib
import ssl

import grpc
import pytest

from livefleet.kernel import Backoff, ConditionBoard, Status, SystemClock
from livefleet.wire import CertificateFiles
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server import WorkerSecrets
from livefleet.wire.tls import ensure_certificate
from livefleet.wire.worker import JOINED_ORCHESTRATOR, Worker
from tests.builders.clock import HandClock
from tests.builders.wire import RecordingTranscoder, a_rng, credentials_for, until, work_headers

pytestmark = pytest.mark.component

OLD, NEW = "test-only-old", "test-only-new"
SOURCE = b"S" * 5000
IN_AN_HOUR = 3600


class Stream:
    """One gateway's stream, a segment after the other until told to stop; keeps what went wrong."""

    def __init__(self, orchestrator):
        self.orchestrator = orchestrator
        self.done = 0
        self.failed = []
        self.ports = set()  # local ports of the connection that it used
        self.going = True

    async def run(self):
        token = (await self.orchestrator.info()).auth_token
        while self.going:
            credentials = credentials_for(token, SOURCE, sequence=self.done)
            response = await self.orchestrator.http.post(
                f"{self.orchestrator.uri}/segment", content=SOURCE, headers=work_headers(credentials, signer=None)
            )
            self.ports.add(response.extensions["network_stream"].get_extra_info("client_addr")[1])
            outcome = pb.TranscodeResult.FromString(response.content)
            if response.status_code != 200 or outcome.error:
                self.failed.append((response.status_code, outcome.error))
            self.done += 1

    async def on(self, segments=4):
        wanted = self.done + segments
        await until(lambda: self.done >= wanted)


@contextlib.asynccontextmanager
async def streaming(orchestrator):
    stream = Stream(orchestrator)
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.run())
        await stream.on()
        yield stream
        await stream.on()
        stream.going = False


@contextlib.asynccontextmanager
async def working(orchestrator, secret, clock=None):
    board = ConditionBoard(SystemClock())
    worker = Worker(
        orchestrator=orchestrator.uri.removeprefix("https://"), secret=secret, capacity=2, clock=clock,
        transcoder=RecordingTranscoder(), board=board, rng=a_rng(), backoff=Backoff(first_s=0.1, cap_s=1), drain_s=5,
    )  # fmt: skip
    async with worker:
        worker.board = board
        yield worker


def link_of(worker):
    return next(c for c in worker.board.all() if c.name == JOINED_ORCHESTRATOR)


def joined(orchestrator):
    return orchestrator.server.snapshot().workers


def both(until_s=IN_AN_HOUR, clock=None):
    return WorkerSecrets(NEW, OLD, (clock or SystemClock()).now() + until_s)


async def register(orchestrator, secret):
    channel = await open_channel(parse_endpoint(orchestrator.uri), timeout_s=10)
    try:
        call = channel.unary_stream(
            "/net.Transcoder/RegisterTranscoder",
            request_serializer=pb.RegisterRequest.SerializeToString,
            response_deserializer=pb.NotifySegment.FromString,
        )(pb.RegisterRequest(secret=secret, capacity=1))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async with asyncio.timeout(2):
                await call.read()
        return caught.value.details()
    except TimeoutError:
        return "held"
    finally:
        await channel.close(None)


async def test_secret_rotated_under_a_stream__no_segment_fails_and_the_workers_stream_stays(serve):
    orchestrator = await serve(worker_secret=OLD)
    async with working(orchestrator, OLD) as worker:
        await until(lambda: joined(orchestrator))
        (before,) = joined(orchestrator)
        async with streaming(orchestrator) as stream:
            orchestrator.server.go_by(both(), None)
            assert joined(orchestrator)[0].secret == "former"
            told = orchestrator.condition("WorkersOnCurrentSecret")
            assert (told.status, told.reason, told.gates_ready) == (Status.FALSE, "SomeOnFormer", False)
            assert "1 of 1 workers" in told.message
            await stream.on()
            worker.show(NEW)
            await until(lambda: joined(orchestrator)[0].secret == "current")
            await until(lambda: orchestrator.condition("WorkersOnCurrentSecret").reason == "AllMoved")
            orchestrator.server.go_by(WorkerSecrets(NEW), None)
            assert orchestrator.condition("WorkersOnCurrentSecret") is None
            await stream.on()
        assert stream.failed == []
        assert [w.since for w in joined(orchestrator)] == [before.since]
    assert await register(orchestrator, OLD) == "invalid secret"


async def test_secret_rotated__an_idle_worker_joins_anew_with_it(serve):
    orchestrator = await serve(worker_secret=OLD)
    async with working(orchestrator, OLD) as worker:
        await until(lambda: joined(orchestrator))
        orchestrator.server.go_by(both(), None)
        worker.show(NEW)
        await until(lambda: [w.secret for w in joined(orchestrator)] == ["current"])


async def test_new_secret_reaches_the_worker_first__no_segment_fails_and_it_moves_later(serve):
    orchestrator = await serve(worker_secret=OLD)
    clock = HandClock()
    async with working(orchestrator, OLD, clock) as worker:
        await until(lambda: joined(orchestrator))
        async with streaming(orchestrator) as stream:
            worker.show(NEW)
            await stream.on()
            orchestrator.server.go_by(both(), None)
            await stream.on()
            assert joined(orchestrator)[0].secret == "former"
            clock.time += 31
            await until(lambda: joined(orchestrator)[0].secret == "current")
        assert stream.failed == []


async def test_window_is_over__a_worker_that_has_not_moved_is_turned_out(serve):
    clock = HandClock(SystemClock().now())
    orchestrator = await serve(worker_secret=both(60, clock), clock=clock)
    async with working(orchestrator, OLD) as worker:
        await until(lambda: joined(orchestrator))
        clock.time += 61
        await until(lambda: not joined(orchestrator))
        await until(lambda: link_of(worker).reason == "Refused")
        assert orchestrator.condition("WorkersOnCurrentSecret").reason == "WindowOver"
        worker.show(NEW)
        await until(lambda: [w.secret for w in joined(orchestrator)] == ["current"])
        await until(lambda: link_of(worker).status is Status.TRUE)


def shown_by(orchestrator):
    host, port = orchestrator.uri.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))


async def test_certificate_replaced_under_a_stream__new_connections_see_it_and_open_ones_go_on(serve, tmp_path):
    first = ensure_certificate(tmp_path / "first", "127.0.0.1", SystemClock())
    second = ensure_certificate(tmp_path / "second", "127.0.0.1", SystemClock())
    files = CertificateFiles(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    replace(files, first)
    orchestrator = await serve(worker_secret=OLD, certificate=files)
    async with working(orchestrator, OLD):
        await until(lambda: joined(orchestrator))
        (before,) = joined(orchestrator)
        assert await asyncio.to_thread(shown_by, orchestrator) == first.certificate.read_text()
        async with streaming(orchestrator) as stream:
            nginx = orchestrator.server.snapshot().nginx_pid
            replace(files, second)
            orchestrator.server._door.certificate.look()
            assert await asyncio.to_thread(shown_by, orchestrator) == second.certificate.read_text()
        assert stream.failed == []
        assert len(stream.ports) == 1, "the gateway's connection was closed"
        assert [w.since for w in joined(orchestrator)] == [before.since]
        assert orchestrator.server.snapshot().nginx_pid == nginx


async def test_half_a_renewal__is_not_shown__and_the_whole_one_is(serve, tmp_path):
    first = ensure_certificate(tmp_path / "first", "127.0.0.1", SystemClock())
    second = ensure_certificate(tmp_path / "second", "127.0.0.1", SystemClock())
    files = CertificateFiles(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    replace(files, first)
    orchestrator = await serve(certificate=files)
    keeper = orchestrator.server._door.certificate
    files.certificate.write_bytes(second.certificate.read_bytes())
    keeper.look()
    told = orchestrator.condition("CertificateValid")
    assert (told.status, told.reason) == (Status.FALSE, "NotTaken")
    assert "is not the one of the certificate" in told.message
    assert await asyncio.to_thread(shown_by, orchestrator) == first.certificate.read_text()
    files.key.write_bytes(second.key.read_bytes())
    keeper.look()
    assert orchestrator.condition("CertificateValid").reason == "Valid"
    assert await asyncio.to_thread(shown_by, orchestrator) == second.certificate.read_text()


def replace(files, source):
    files.certificate.write_bytes(source.certificate.read_bytes())
    files.key.write_bytes(source.key.read_bytes())
