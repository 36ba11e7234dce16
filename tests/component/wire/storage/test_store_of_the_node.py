"""An orchestrator with an object store of its own."""

import asyncio
import dataclasses
import re

import httpx
import pytest

from livefleet.kernel import Backoff, ConditionBoard, Status, SystemClock
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, ask
from livefleet.wire.storage import OBJECT_STORE_WRITABLE, OwnStore, Uploader, UploadFailed
from livefleet.wire.worker import Worker
from tests.builders.ai import images
from tests.builders.ai_files import png
from tests.builders.object_store import BUCKET, a_stock_grant
from tests.builders.wire import (
    MODEL,
    FreePayments,
    OnePlace,
    RecordingTranscoder,
    a_rng,
    credentials_for,
    free_port,
    made_of,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
SECRET = "test-only-secret"
URI = {"Content-Type": "application/vnd+livepeer.uri"}


@pytest.fixture
async def node(s3, serve):
    """A running server whose store has been found to be writable."""

    async def start(**parts):
        orchestrator = await serve(object_store=s3.store("live"), **parts)
        await until(lambda: (c := orchestrator.condition(OBJECT_STORE_WRITABLE)) and c.status is Status.TRUE)
        return orchestrator

    return start


@pytest.fixture
async def outside():
    """Somebody with no key of anything."""
    async with httpx.AsyncClient() as client:
        yield client


async def upload_source(grant, data=SOURCE, name="source/7.ts"):
    async with httpx.AsyncClient() as client:
        return await Uploader(client).upload(grant, name, data, "video/mp2t", timeout_s=20)


async def send(orchestrator, token, **changes):
    credentials = credentials_for(token, SOURCE, **changes)
    return await orchestrator.segment(SOURCE, work_headers(credentials, signer=None))


async def test_info__offers_a_grant_for_the_session_alone(node, s3, outside):
    orchestrator = await node(transcoder=RecordingTranscoder())
    info = await orchestrator.info()
    (grant,) = info.storage
    assert (grant.host, grant.key) == (f"{s3.endpoint}/{BUCKET}", f"live/{info.auth_token.session}")
    assert (await outside.get(await upload_source(grant))).content == SOURCE
    for key in ("live/other", "live", "live/livefleet"):
        with pytest.raises(UploadFailed, match="403"):
            await upload_source(dataclasses.replace(grant, key=key))


async def test_segment__results_lie_in_the_store_and_not_here(node, s3, outside):
    payments = FreePayments()
    orchestrator = await node(transcoder=RecordingTranscoder(), payments=payments)
    token = (await orchestrator.info()).auth_token
    outcome = await send(orchestrator, token)
    assert outcome.error is None
    profiles = credentials_for(token, SOURCE).profiles
    assert [r.url for r in outcome.renditions] == [
        f"{s3.endpoint}/{BUCKET}/live/{token.session}/{profile.name}/7.ts" for profile in profiles
    ]
    assert [(await outside.get(r.url)).content for r in outcome.renditions] == [made_of(p, SOURCE) for p in profiles]
    for profile in profiles:
        here = await orchestrator.http.get(f"{orchestrator.uri}/stream/{token.session}/{profile.name}/7.ts")
        assert here.status_code == 404
    assert payments.debits == [(token.session, sum(r.pixels for r in outcome.renditions))]
    assert orchestrator.server.snapshot().files_uploaded == 2
    assert outcome.info.storage[0].key == f"live/{token.session}"


async def test_segment__hash_beside_a_rendition__goes_the_same_way(node, outside):
    class Hashing(RecordingTranscoder):
        async def transcode(self, job):
            done = await super().transcode(job)
            hashed = [dataclasses.replace(r, perceptual_hash=b"hash %d" % i) for i, r in enumerate(done.renditions)]
            return dataclasses.replace(done, renditions=tuple(hashed))

    orchestrator = await node(transcoder=Hashing())
    outcome = await send(orchestrator, (await orchestrator.info()).auth_token)
    for index, rendition in enumerate(outcome.renditions):
        assert rendition.perceptual_hash_url == f"{rendition.url}.phash"
        assert (await outside.get(rendition.perceptual_hash_url)).content == b"hash %d" % index


async def test_segment__source_in_the_store__is_fetched_from_there(node):
    orchestrator = await node(transcoder=RecordingTranscoder())  # no network of peers is listed: this store is ours
    info = await orchestrator.info()
    url = await upload_source(info.storage[0])
    headers = work_headers(credentials_for(info.auth_token, SOURCE), signer=None) | URI
    assert (await orchestrator.segment(url.encode(), headers)).error is None


async def test_worker__source_in_the_store__gets_its_url_and_no_copy(node):
    orchestrator = await node(worker_secret=SECRET)
    transcoder, sources = RecordingTranscoder(), []
    transcoder.gate.clear()
    worker = Worker(
        orchestrator=orchestrator.uri.removeprefix("https://"),
        secret=SECRET,
        capacity=2,
        transcoder=transcoder,
        board=ConditionBoard(SystemClock()),
        rng=a_rng(),
        backoff=Backoff(first_s=0.1, cap_s=1),
        drain_s=10,
    )
    async with worker:
        await until(lambda: orchestrator.server.snapshot().workers)
        info = await orchestrator.info()
        url = await upload_source(info.storage[0])
        headers = work_headers(credentials_for(info.auth_token, SOURCE), signer=None) | URI
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(orchestrator.segment(url.encode(), headers))
            await until(lambda: transcoder.jobs)
            sources.append(transcoder.jobs[0].source)
            copy = f"{orchestrator.uri}/stream/{info.auth_token.session}/7.tempfile"
            assert (await orchestrator.http.get(copy)).status_code == 404
            transcoder.gate.set()
        assert answer.result().error is None
        assert sources == [SOURCE]


async def test_ai_results__lie_in_the_nodes_store(node, outside):
    orchestrator = await node(ai=OnePlace(result=images(png(64, 32), png(64, 32))))
    fields = {"prompt": "x", "width": 64, "height": 32, "num_images_per_prompt": 2}
    report = await ask(parse_endpoint(orchestrator.uri), Payer(None), AiRequest("text-to-image", MODEL, fields))
    urls = [media.url for media in report.media]
    assert report.problems == ()
    assert len(set(urls)) == 2
    for url in urls:
        assert re.fullmatch(rf"http://.*/{BUCKET}/live/.*/[0-9a-f]{{8}}\.png", url)
        stored = await outside.get(url)
        assert (stored.content, stored.headers["content-type"]) == (png(64, 32), "image/png")


async def test_ai_results__store_breaks_down__lie_here(s3, serve):
    gone = s3.store("live", host=f"http://127.0.0.1:{free_port()}/{BUCKET}")
    orchestrator = await serve(object_store=gone, ai=OnePlace(result=images(png(64, 32))))
    fields = {"prompt": "x", "width": 64, "height": 32}
    report = await ask(parse_endpoint(orchestrator.uri), Payer(None), AiRequest("text-to-image", MODEL, fields))
    assert report.problems == ()
    assert report.media[0].url.startswith(f"{orchestrator.uri}/stream/")


async def test_store_away__nothing_is_offered_and_results_lie_here(s3, serve):
    gone = s3.store("live", host=f"http://127.0.0.1:{free_port()}/{BUCKET}")
    orchestrator = await serve(object_store=gone, transcoder=RecordingTranscoder())
    await until(lambda: orchestrator.condition(OBJECT_STORE_WRITABLE))
    condition = orchestrator.condition(OBJECT_STORE_WRITABLE)
    assert (condition.status, condition.reason, condition.gates_ready) == (Status.FALSE, "UploadFailed", False)
    info = await orchestrator.info()
    assert info.storage == ()
    outcome = await send(orchestrator, info.auth_token)
    assert all(r.url.startswith(f"{orchestrator.uri}/stream/") for r in outcome.renditions)
    assert (await orchestrator.http.get(outcome.renditions[0].url)).status_code == 200


async def test_own_store__wrong_key_then_right__is_offered_when_it_works(s3):
    class Locked:
        host = s3.store().host
        opened = False

        def grant(self, folder, now, life_s):
            store = s3.store() if self.opened else s3.store(secret_key="test-only wrong")
            return store.grant(folder, now, life_s)

    board, lock = ConditionBoard(SystemClock()), Locked()
    async with OwnStore(lock, board=board, clock=SystemClock(), look_every_s=0.05) as store:
        await until(board.all)
        assert (board.all()[0].status, store.grant("s")) == (Status.FALSE, None)
        assert "AccessDenied" in board.all()[0].message
        lock.opened = True
        await until(lambda: store.is_writable)
        assert board.all()[0].status is Status.TRUE
        assert store.grant("s") is not None


async def test_segment__gateways_store_is_named__wins_over_ours(node, s3, outside):
    orchestrator = await node(transcoder=RecordingTranscoder(), peer_networks=("127.0.0.0/8",))
    token = (await orchestrator.info()).auth_token
    outcome = await send(orchestrator, token, storage=a_stock_grant(s3, "theirs/1"))
    assert outcome.renditions[0].url == f"{s3.endpoint}/{BUCKET}/theirs/1/P240p30fps16x9/7.ts"
    assert (await outside.get(outcome.renditions[0].url)).status_code == 200


async def test_own_store__strange_session_id__stays_in_the_prefix(s3):
    async with OwnStore(s3.store("live"), board=ConditionBoard(SystemClock()), clock=SystemClock()) as store:
        await until(lambda: store.is_writable)
        grant = store.grant("../other")
    assert grant is not None
    assert grant.key == "live/..%2Fother"
