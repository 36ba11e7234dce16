"""Google's form over a socket, read by somebody who has only the public key."""

import asyncio
import base64
import contextlib
import json
import time

import httpx
import pytest
import uvicorn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from livefleet.wire.storage import GoogleStore, Uploader, UploadFailed
from tests.builders.wire import free_port

pytestmark = pytest.mark.component

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACCOUNT = "node@project.iam.gserviceaccount.com"


class Bucket:
    """Takes forms as Google's policy documents say: every field but these four must be named by a condition."""

    def __init__(self):
        self.files = {}

    async def post(self, request):
        async with request.form() as form:
            fields = {name.lower(): value for name, value in form.items()}
            file, content_type = fields.pop("file"), fields["content-type"]
            content = await file.read()
        policy, signature = fields.pop("policy"), base64.b64decode(fields.pop("signature"))
        try:
            KEY.public_key().verify(signature, policy.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return Response("SignatureDoesNotMatch", 403)
        document, key = json.loads(base64.b64decode(policy)), fields["key"]
        if document["expiration"] < time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()):
            return Response("ExpiredToken", 403)
        if fields.pop("googleaccessid") != ACCOUNT or not self._allowed(document["conditions"], fields, len(content)):
            return Response("AccessDenied", 403)
        self.files[key] = (content, content_type)
        return Response(status_code=204)

    def _allowed(self, conditions, fields, size):
        left = dict(fields) | {"bucket": "bucket"}
        for condition in conditions:
            match condition:
                case ["starts-with", name, prefix]:
                    if not left.pop(name.removeprefix("$").lower(), "\0").startswith(prefix):
                        return False
                case ["content-length-range", least, most]:
                    if not least <= size <= most:
                        return False
                case dict():
                    ((name, value),) = condition.items()
                    if left.pop(name.lower(), None) != value:
                        return False
        return not left


@pytest.fixture
async def bucket():
    port, bucket = free_port(), Bucket()
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(routes=[Route("/bucket", bucket.post, methods=["POST"])]),
            port=port,
            log_config=None,
            lifespan="off",
            ws="none",
        )
    )
    bucket.store = GoogleStore(f"http://127.0.0.1:{port}/bucket", "bucket", "live", ACCOUNT, KEY)
    async with contextlib.AsyncExitStack() as stack:
        serving = asyncio.create_task(server.serve())
        stack.callback(lambda: setattr(server, "should_exit", True))
        while not server.started:
            await asyncio.sleep(0.01)
        yield bucket
    await serving


async def upload(grant, data=b"a rendition"):
    async with httpx.AsyncClient() as client:
        return await Uploader(client).upload(grant, "P144p30fps16x9/7.ts", data, "video/mp2t", timeout_s=20)


async def test_upload__form_meets_the_policy__is_taken(bucket):
    url = await upload(bucket.store.grant("session", time.time(), 60))
    assert url == f"{bucket.store.host}/live/session/P144p30fps16x9/7.ts"
    assert bucket.files == {"live/session/P144p30fps16x9/7.ts": (b"a rendition", "video/mp2t")}


async def test_upload__late_or_elsewhere_or_forged__is_refused(bucket):
    grant = bucket.store.grant("session", time.time(), 60)
    for bad in (
        bucket.store.grant("session", time.time() - 120, 60),
        type(grant)(grant.kind, grant.host, "live/other", grant.policy, grant.signature, grant.credential),
        type(grant)(
            grant.kind, grant.host, grant.key, grant.policy, base64.b64encode(b"x" * 256).decode(), grant.credential
        ),
    ):
        with pytest.raises(UploadFailed, match="403"):
            await upload(bad)
    assert bucket.files == {}
