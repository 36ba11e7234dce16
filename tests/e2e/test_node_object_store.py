"""Streams whose sources and results travel by object stores, against a real S3 server."""

import asyncio
from contextlib import contextmanager

import httpx
import pytest

from tests.builders.agents import an_agent
from tests.builders.gateways import PROFILES, a_stream, a_stream_client, send
from tests.builders.object_store import BUCKET, SECRET_KEY, an_s3_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with an_s3_server(tmp_path_factory.mktemp("s3") / "ceph") as server:
        yield server


@contextmanager
def a_node(root, s3, *, secret=SECRET_KEY):
    file = root / "var/lib/livefleet/secrets/object-store"
    file.parent.mkdir(parents=True)
    file.write_text(secret + "\n")
    with an_agent(
        root,
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties={"transcoding": {"encoder": "software"}},
        orchestrator={"object_store": s3.settings("live"), "peer_networks": ["127.0.0.0/8"]},
        secrets={"object-store": "secrets/object-store"},
    ) as agent:
        yield agent


@pytest.fixture(scope="module")
def node(s3, tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("store") / "node", s3) as agent:
        agent.until_condition("ObjectStoreWritable", "Writable")
        yield agent


async def stream(agent, segments, source, **settings):
    """Send the stream; every check of a gateway holds. The session's id."""
    async with a_stream_client(agent.service_uri, None, **settings) as client:
        report = client.report(await send(client, segments, source))
        assert report.ok, (report.failures, [s.problems for s in report.segments])
        assert len(report.segments) == len(segments)
        return client.info.auth_token.session_id


async def status_of(url):
    async with httpx.AsyncClient(verify=False) as client:
        return (await client.get(url)).status_code


async def test_stream__store_of_the_node__sources_and_results_lie_there(node, s3):
    segments, source = a_stream(3)
    before = node.status()["server"]
    session = await stream(node, segments, source)
    base = f"{s3.endpoint}/{BUCKET}/live/{session}"
    names = [f"{profile.name}/{s.sequence}.ts" for profile in PROFILES for s in segments]
    assert [await status_of(f"{base}/{name}") for name in names] == [200] * 9
    assert [await status_of(f"{base}/source/{s.sequence}.ts") for s in segments] == [200] * 3
    assert await status_of(f"{node.service_uri}/stream/{session}/{names[0]}") == 404
    after = node.status()["server"]
    assert after["files_uploaded"] - before["files_uploaded"] == 9
    assert after["files_not_uploaded"] == 0
    assert node.metric("livefleet_files_uploaded_total") == after["files_uploaded"]
    assert SECRET_KEY not in node.log()


async def test_stream__store_of_the_gateway__results_lie_there(node, s3):
    segments, source = a_stream(3)
    before = node.status()["server"]
    session = await stream(node, segments, source, store=s3.store("gateway"))
    base = f"{s3.endpoint}/{BUCKET}/gateway/node-test/{session}"
    assert [await status_of(f"{base}/{profile.name}/2.ts") for profile in PROFILES] == [200] * 3
    # As with stock gateways, the source goes to the store that the orchestrator offers.
    assert await status_of(f"{s3.endpoint}/{BUCKET}/live/{session}/source/2.ts") == 200
    assert await status_of(f"{s3.endpoint}/{BUCKET}/live/{session}/{PROFILES[0].name}/2.ts") in {403, 404}
    after = node.status()["server"]
    assert after["files_uploaded"] - before["files_uploaded"] == 9
    assert after["files_not_uploaded"] == 0


async def test_stream__secret_of_the_store_is_wrong__node_serves_and_says_so(s3, tmp_path):
    segments, source = a_stream(1)
    with a_node(tmp_path / "node", s3, secret="test-only wrong key") as agent:
        condition = await asyncio.to_thread(agent.until_condition, "ObjectStoreWritable", "UploadFailed")
        assert "403" in condition["message"]
        session = await stream(agent, segments, source)
        assert await status_of(f"{s3.endpoint}/{BUCKET}/live/{session}/{PROFILES[0].name}/0.ts") in {403, 404}
        server = agent.status()["server"]
        assert (server["segments_ok"], server["files_uploaded"]) == (1, 0)
