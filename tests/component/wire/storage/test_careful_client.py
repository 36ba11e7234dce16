"""What peers' URLs may lead to, over real sockets."""

import asyncio
import contextlib
import re
import socket
import ssl
import time

import httpx
import pytest

from livefleet.kernel import SystemClock
from livefleet.wire.storage import (
    AddressRefused,
    AddressRule,
    StorageKind,
    StoreGrant,
    Uploader,
    UploadFailed,
    careful_client,
)
from livefleet.wire.tls import ensure_certificate

pytestmark = pytest.mark.component

LOOPBACK = AddressRule(["127.0.0.0/8", "::1/128"])


@pytest.fixture
async def listen():
    """`await listen(answers)` serves one answer a request, the last one for ever; returns (port, heads seen)."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*answers, context=None, holds=False):
            heads, released, handlers = [], asyncio.Event(), []

            async def serve(reader, writer):
                handlers.append(asyncio.current_task())
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    heads.append(head)
                    length = re.search(r"content-length: (\d+)", head.lower())
                    await reader.readexactly(int(length[1]) if length else 0)
                    if holds:
                        await released.wait()
                    writer.write(answers[min(len(heads), len(answers)) - 1].encode())
                    await writer.drain()
                writer.close()

            async def end():
                server.close()
                released.set()
                await asyncio.gather(*handlers)

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            stack.push_async_callback(end)
            return server.sockets[0].getsockname()[1], heads

        yield start


def an_answer(status, body="", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines)


def a_grant(host):
    return StoreGrant(StorageKind.S3, host, "k", "p", "s", "c", "d")


async def upload(client, host, *, timeout_s=20.0):
    return await Uploader(client).upload(a_grant(host), "1.ts", b"x" * 100, "video/mp2t", timeout_s=timeout_s)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_get__address_of_this_machine__is_not_connected_to(listen, host):
    port, heads = await listen(an_answer("200 OK", "secret"))
    async with careful_client(AddressRule()) as client:
        with pytest.raises(AddressRefused, match="no public address"):
            await client.get(f"http://{host}:{port}/")
    assert heads == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_get__listed_network__is_connected_to(listen, host):
    port, heads = await listen(an_answer("200 OK", "fine"))
    async with careful_client(LOOPBACK) as client:
        assert (await client.get(f"http://{host}:{port}/x")).text == "fine"
    assert f"Host: {host}:{port}" in heads[0]


async def test_get__name_with_several_addresses__only_those_that_pass_are_connected_to(listen, monkeypatch):
    port, heads = await listen(an_answer("200 OK", "fine"))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    async with careful_client(AddressRule(["127.0.0.1/32"])) as client:
        assert (await client.get(f"http://two.example:{port}/")).text == "fine"
    async with careful_client(AddressRule(["127.0.0.2/31"])) as client:  # nobody listens on this one
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://two.example:{port}/")
    assert len(heads) == 1
    assert f"Host: two.example:{port}" in heads[0]


async def test_get__proxy_of_the_environment__is_not_asked(listen, monkeypatch):
    port, heads = await listen(an_answer("200 OK", "fine"))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    async with careful_client(AddressRule()) as client:
        with pytest.raises(AddressRefused):
            await client.get("http://10.0.0.1/")
    assert heads == []


async def test_upload__redirect__is_not_followed(listen):
    inner, inner_heads = await listen(an_answer("204 No Content"))
    port, heads = await listen(an_answer("307 Temporary Redirect", "", f"Location: http://127.0.0.1:{inner}/b"))
    async with careful_client(LOOPBACK) as client:
        with pytest.raises(UploadFailed, match="307"):
            await upload(client, f"http://127.0.0.1:{port}/b")
    assert (len(heads), inner_heads) == (1, [])


async def test_upload__store_with_a_certificate_of_its_own_making__is_refused(listen, tmp_path):
    files = ensure_certificate(tmp_path, "localhost", SystemClock())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    port, heads = await listen(an_answer("204 No Content"), context=context)
    async with careful_client(LOOPBACK) as client:
        with pytest.raises(UploadFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await upload(client, f"https://localhost:{port}/b")
    assert heads == []


async def test_upload__trusted_certificate__is_checked_against_the_name(listen, tmp_path, monkeypatch):
    files = ensure_certificate(tmp_path, "localhost", SystemClock())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    port, _ = await listen(an_answer("204 No Content"), context=context)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.certificate))
    async with careful_client(LOOPBACK) as client:
        assert await upload(client, f"https://localhost:{port}/b") == f"https://localhost:{port}/b/k/1.ts"
        with pytest.raises(UploadFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await upload(client, f"https://127.0.0.1:{port}/b")


@pytest.mark.parametrize("trouble", ["503 Slow Down", "500 Internal Server Error", "429 Too Many Requests"])
async def test_upload__passing_trouble__is_tried_again(listen, trouble):
    port, heads = await listen(an_answer(trouble), an_answer("204 No Content"))
    async with careful_client(LOOPBACK) as client:
        await upload(client, f"http://127.0.0.1:{port}/b")
    assert len(heads) == 2


async def test_upload__refusal__is_final(listen):
    port, heads = await listen(an_answer("403 Forbidden", "<Code>AccessDenied</Code>"))
    async with careful_client(LOOPBACK) as client:
        with pytest.raises(UploadFailed, match="403 <Code>AccessDenied</Code>"):
            await upload(client, f"http://127.0.0.1:{port}/b")
    assert len(heads) == 1


@pytest.mark.parametrize(
    "answer",
    [
        an_answer("403 Forbidden", "no gzip", "Content-Encoding: gzip"),
        an_answer("403 Forbidden", "x" * 1_000_000),
        an_answer("999 Whatever"),
        an_answer("100 Continue"),
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nshort",
        "",
    ],
    ids=["bad gzip", "long", "strange status", "endless", "no http", "cut off", "nothing"],
)
async def test_upload__hostile_answer__is_an_upload_that_failed(listen, answer):
    port, _ = await listen(answer)
    async with careful_client(LOOPBACK) as client:
        with pytest.raises(UploadFailed) as failed:
            await upload(client, f"http://127.0.0.1:{port}/b", timeout_s=10)
    assert len(str(failed.value)) < 3000


async def test_upload__store_that_never_answers__ends_in_time(listen):
    port, _ = await listen(an_answer("204 No Content"), holds=True)
    async with careful_client(LOOPBACK) as client:
        began = time.monotonic()
        with pytest.raises(UploadFailed, match=r"not done in 0\.5 s"):
            await upload(client, f"http://127.0.0.1:{port}/b", timeout_s=0.5)
        assert time.monotonic() - began < 30


async def test_upload__nobody_listens__is_an_upload_that_failed(listen):
    port, _ = await listen(an_answer("204 No Content"))
    async with careful_client(LOOPBACK) as client:
        with pytest.raises(UploadFailed, match="ConnectError"):
            await upload(client, f"http://127.0.0.2:{port}/b")


@pytest.mark.parametrize("host", ["http://a b/", "http://\x00/", "http://" + "a" * 300, "http://nowhere.invalid/b"])
async def test_upload__host_that_cannot_be__is_an_upload_that_failed(host):
    async with careful_client(LOOPBACK) as client:
        with pytest.raises(UploadFailed):
            await upload(client, host)


async def test_get__answer_on_http2__passes_the_same_rule():
    async with careful_client(AddressRule(), check_certificates=False, http2=True, keep_idle=0) as client:
        with pytest.raises(AddressRefused):
            await client.get("https://127.0.0.1:1/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("file:///etc/passwd")
