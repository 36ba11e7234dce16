"""Forms by POST policy against a server that checks them."""

import dataclasses
import time

import httpx
import pytest

from livefleet.wire.storage import StoreGrant, Uploader, UploadFailed, object_name
from tests.builders.object_store import a_stock_grant

pytestmark = pytest.mark.component

DAY_S = 24 * 3600


@pytest.fixture
async def client():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def upload(client):
    uploader = Uploader(client)

    async def put(grant: StoreGrant, name: str, data: bytes = b"a rendition") -> str:
        return await uploader.upload(grant, name, data, "video/mp2t", timeout_s=20)

    return put


async def test_upload__by_policy__is_readable_by_everybody(s3, client, upload):
    grant = s3.store("live/eu").grant("session", time.time(), DAY_S)
    url = await upload(grant, object_name("P144p30fps16x9", "7.ts"))
    assert url == f"{s3.endpoint}/segments/live/eu/session/P144p30fps16x9/7.ts"
    found = await client.get(url)
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, b"a rendition", "video/mp2t")
    await upload(grant, object_name("P144p30fps16x9", "7.ts"), b"another")
    assert (await client.get(url)).content == b"another"


@pytest.mark.parametrize("folder", ["../../elsewhere", "a/b", "with space", "50%", "..", "ünï", "a?b#c&d"])
async def test_upload__strange_name__stays_in_its_folder(s3, client, upload, folder):
    grant = s3.store().grant("strange", time.time(), DAY_S)
    url = await upload(grant, object_name(folder, "1.ts"), folder.encode())
    assert (await client.get(url)).content == folder.encode()
    assert len(url.removeprefix(f"{s3.endpoint}/segments/strange/").split("/")) == 2


async def test_upload__wrong_signature__is_refused(s3, client, upload):
    grant = s3.store().grant("forged", time.time(), DAY_S)
    forged = dataclasses.replace(grant, signature=grant.signature[:-1] + ("0" if grant.signature[-1] != "0" else "1"))
    with pytest.raises(UploadFailed, match="403"):
        await upload(forged, "1.ts")
    with pytest.raises(UploadFailed, match="403"):
        await upload(s3.store(secret_key="test-only other key").grant("forged", time.time(), DAY_S), "1.ts")
    assert (await client.get(grant.url("1.ts"))).status_code in {403, 404}
    await upload(grant, "1.ts")


async def test_upload__key_outside_of_the_prefix__is_refused(s3, upload):
    grant = s3.store("live").grant("mine", time.time(), DAY_S)
    for key in ("live/other", "live", "live/mine2", ""):
        with pytest.raises(UploadFailed, match=r"403.*starts-with"):
            await upload(dataclasses.replace(grant, key=key), "1.ts")


async def test_upload__policy_has_ended__is_refused(s3, upload):
    ended = s3.store().grant("late", time.time() - DAY_S - 60, DAY_S)
    with pytest.raises(UploadFailed, match=r"403.*expired"):
        await upload(ended, "1.ts")


async def test_upload__other_bucket__is_refused(s3, upload):
    grant = s3.store(bucket="others").grant("s", time.time(), DAY_S)  # posted to the bucket that is there
    with pytest.raises(UploadFailed, match="403"):
        await upload(grant, "1.ts")


async def test_upload__refusal__tells_what_the_store_said_and_nothing_signed(s3, upload):
    grant = s3.store().grant("told", time.time() - 2 * DAY_S, DAY_S)
    with pytest.raises(UploadFailed) as refused:
        await upload(grant, "1.ts")
    assert "AccessDenied" in refused.value.reason
    told = f"{refused.value} {grant!r}"
    assert grant.signature not in told
    assert grant.policy not in told


async def test_upload__policy_of_a_stock_gateway__is_accepted(s3, client, upload):
    grant = a_stock_grant(s3, "manifest/session")
    url = await upload(grant, object_name("P240p30fps16x9", "3.ts"))
    assert url.startswith(grant.host + "/")  # a stock gateway knows its own store by this alone
    assert (await client.get(url)).content == b"a rendition"
