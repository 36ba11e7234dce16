"""What nobody should send: refused before any work, in words that gateways know, by a node that goes on."""

import asyncio
import json
import ssl
import struct
import zlib
from urllib.parse import urlsplit

import pytest

from livefleet.ai import SERVED, AdvertisedModel, NoCapacity
from tests.builders.ai_files import PNG_MAGIC, gif, jpeg, png, png_chunk, wav
from tests.builders.wire import MODEL, FreePayments, OnePlace, credentials_for, work_headers

pytestmark = pytest.mark.component

BOUNDARY = "b0undary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class AnyPlace(OnePlace):
    """A model of every pipeline; whoever gets to it has passed all checks."""

    def advertised(self):
        return tuple(
            AdvertisedModel(pipeline.value, MODEL, warm=True, capacity=1, capacity_in_use=0, runner_version="1.0")
            for pipeline in SERVED
        )

    def reserve(self, pipeline, model_id):
        if model_id != MODEL:
            raise NoCapacity(model_id, "test")
        return super().reserve(self.pipeline, model_id)


@pytest.fixture
async def node(serve):
    ai, payments = AnyPlace(), FreePayments()
    orchestrator = await serve(ai=ai, payments=payments)
    orchestrator.ai, orchestrator.payments = ai, payments
    token = (await orchestrator.info()).auth_token
    sent = work_headers(credentials_for(token, b"", profiles=(), capabilities=None), signer=None)
    orchestrator.headers = {"Livepeer-Segment": sent["Livepeer-Segment"], "Livepeer-Payment": ""}
    return orchestrator


async def refused(node, pipeline, **request):
    """Status and text of a refusal; what holds of each is looked at here."""
    sent = node.headers | request.pop("headers", {})
    reply = await node.http.post(f"{node.uri}/{pipeline}", headers=sent, **request)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.text.endswith("\n")
    assert (node.ai.requests, node.payments.received, node.ai.in_use) == ([], [], 0)
    healthy = await node.http.get(f"{node.uri}/healthz")
    assert healthy.status_code == 200
    return reply.status_code, reply.text.removesuffix("\n")


def form(upload: bytes, *, field: str = "image", filename: str | None = "image", **fields: str) -> bytes:
    """A multipart body, written by hand so that it can be wrong."""
    body = b""
    for name, value in ({"model_id": MODEL, "prompt": "x"} | fields).items():
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n\r\n'
    return body + head.encode() + upload + f"\r\n--{BOUNDARY}--\r\n".encode()


def prompt(**fields):
    return json.dumps({"model_id": MODEL, "prompt": "x"} | fields)


async def test_unknown_pipeline__is_404_in_gos_words(node):
    for path in ("text-to-images", "Text-To-Image", "TEXT-TO-IMAGE", "live-video-to-video", "scope"):
        assert await refused(node, path, content=prompt()) == (404, "404 page not found"), path


async def test_unknown_model__is_503(node):
    for model in ("nobody/knows", MODEL.upper(), MODEL + " ", "../" + MODEL):
        answer = await refused(node, "text-to-image", content=prompt(model_id=model))
        assert answer == (503, "insufficient capacity"), model


OUTSIDE = [
    (prompt(num_inference_steps=0), "num_inference_steps: Input should be greater than or equal to 1"),
    (prompt(num_inference_steps=-5), "num_inference_steps: "),
    (prompt(width=100_000), "width: "),
    (prompt(width=0), "width: "),
    (prompt(width="wide"), "width: Input should be a valid integer"),
    (prompt(num_images_per_prompt=1_000_000), "num_images_per_prompt: "),
    (prompt(guidance_scale="nan"), "guidance_scale: Input should be a finite number"),
    (prompt(guidance_scale="1e999"), "guidance_scale: Input should be a finite number"),
    (prompt(prompt="x" * 500_000), "prompt: String should have at most 8192 characters"),
    (prompt(prompt="x" * 1_000_000), "body of more than 1000000 bytes"),
    (prompt(model_id=""), "model_id: "),
    (prompt(model_id=None), "model_id: "),
    (prompt(model_id=7), "model_id: "),
    (prompt(prompt=None), "prompt: Field required"),
]


async def test_outside_the_limits__is_the_clients_fault_to_gateways(node):
    for body, fault in OUTSIDE:
        status, text = await refused(node, "text-to-image", content=body)
        assert status == 400, body[:200]
        assert text.startswith(f"text-to-image container returned 400: {fault}"), body[:200]


NO_JSON = [
    b"", b"null", b"[]", b"{", b'{"model_id": NaN}', b'{"guidance_scale": NaN}', b'{"guidance_scale": 1e999}',
    b"\xff\xfe", b"[" * 100_000, b"prompt=x",
]  # fmt: skip


async def test_no_json__is_400(node):
    for body in NO_JSON:
        status, text = await refused(node, "text-to-image", content=body)
        assert (status, bool(text)) == (400, True), body[:200]


async def test_llm_without_max_tokens__is_the_references_words(node):
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]})
    assert await refused(node, "llm", content=body) == (400, "MaxTokens not specified")


async def test_no_picture__is_gos_decoders_words(node):
    rows = [
        (b"a poem about the sea", "image: unknown format"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image: unknown format"),
        (PNG_MAGIC, "unexpected EOF"),
        (b"\xff\xd8\xff\xda", "invalid JPEG format: missing SOF marker"),
    ]
    for pipeline in ("image-to-image", "upscale", "segment-anything-2", "image-to-text"):
        for upload, text in rows:
            assert await refused(node, pipeline, content=form(upload), headers=FORM) == (400, text), pipeline


def bomb() -> bytes:
    """A valid PNG of 30,000 x 30,000 black pixels: 110 kB that would decode to 2.7 GB."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(3751)) for _ in range(30_000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    return PNG_MAGIC + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


async def test_picture_too_large_to_decode__is_refused_by_its_header(node):
    bombs = (bomb(), png(2**31 - 1, 2**31 - 1), gif(65_535, 65_535), jpeg(65_500, 65_500))
    for pipeline in ("image-to-image", "upscale", "segment-anything-2", "image-to-text", "image-to-video"):
        for upload in bombs:
            status, text = await refused(node, pipeline, content=form(upload), headers=FORM)
            assert status == 400, pipeline
            assert " container returned 400: the image " in text, pipeline


async def test_no_sound__is_the_references_words(node):
    for upload in (b"not a sound but a sentence", png(), b"RIFF" + bytes(40), wav()[:20]):
        body = form(upload, field="audio", filename="audio")
        answer = await refused(node, "audio-to-text", content=body, headers=FORM)
        assert answer == (400, "Unable to calculate duration"), upload[:30]


BROKEN_FORMS = [
    (b"", "application/json", "request Content-Type isn't multipart/form-data"),
    (form(png()), "multipart/form-data", "no multipart boundary param in Content-Type"),
    (form(png())[:-9], FORM["Content-Type"], "multipart: unexpected end of the multipart body"),
    (form(png()), "multipart/form-data; boundary=other", "multipart: "),
    (b"\0" * 1000, FORM["Content-Type"], "multipart: "),
    (b"", FORM["Content-Type"], "multipart: "),
    (form(png(), **{f"field{n}": "x" for n in range(1000)}), FORM["Content-Type"], "multipart: more than 64 parts"),
    (form(png(), filename=None), FORM["Content-Type"], "image-to-image container returned 400: image: Field required"),
    (form(png(), field="picture"), FORM["Content-Type"], "image-to-image container returned 400: image: Field req"),
    (form(b""), FORM["Content-Type"], "image-to-image container returned 400: image: Field required"),
    (form(png(), num_images_per_prompt="nan"), FORM["Content-Type"], "image-to-image container returned 400: num_im"),
    (form(png(), strength="nan"), FORM["Content-Type"], "image-to-image container returned 400: strength: "),
]


async def test_broken_form__is_400(node):
    for body, content_type, text in BROKEN_FORMS:
        status, found = await refused(node, "image-to-image", content=body, headers={"Content-Type": content_type})
        assert status == 400, body[:200]
        assert found.startswith(text), body[:200]


async def test_several_faults__the_first_in_the_protocols_order_answers(node):
    """Each row has every fault of those below it."""
    bad_payment, bad_credentials = {"Livepeer-Payment": "%%%"}, {"Livepeer-Segment": "%%%"}
    other = {"model_id": "nobody/knows"}
    for body, headers, status, text in [
        (form(b"words", **other)[:-9], bad_payment | bad_credentials, 400, "multipart: unexpected end"),
        (
            form(b"words", **other, strength="7"),
            bad_payment | bad_credentials,
            400,
            "image-to-image container returned",
        ),
        (form(b"words", **other), bad_payment | bad_credentials, 402, ""),
        (form(b"words", **other), bad_credentials, 403, ""),
        (form(b"words", **other), {}, 400, "image: unknown format"),
        (form(png(), **other), {}, 503, "insufficient capacity"),
    ]:
        found = await refused(node, "image-to-image", content=body, headers=FORM | headers)
        assert (found[0], found[1].startswith(text)) == (status, True), found


async def test_get__is_405(node):
    for pipeline in SERVED:
        reply = await node.http.get(f"{node.uri}/{pipeline}")
        assert (reply.status_code, reply.text) == (405, "Method Not Allowed")


async def test_two_gigabytes_announced__is_refused_unread(node):
    reply = await raw(node, f"POST /image-to-image HTTP/1.1\r\nContent-Length: {2 * 10**9}", [])
    assert b" 400 " in reply.splitlines()[0]
    assert b"image-to-image container returned 400: file too large; max file size is 50MB" in reply


async def test_endless_chunks__are_refused_while_they_come(node):
    piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    start = form(png())[:-20]
    first = f"{len(start):x}\r\n".encode() + start + b"\r\n"
    reply = await raw(node, "POST /image-to-image HTTP/1.1\r\nTransfer-Encoding: chunked", [first, *[piece] * 200])
    assert b" 400 " in reply.splitlines()[0]
    assert b"file too large; max file size is 50MB" in reply


async def raw(node, start, pieces):
    """The answer to a request that is never whole: after it stops being read, or without a byte of its body."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    at = urlsplit(node.uri)
    reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=context)
    lines = [start, "Host: x", *(f"{k}: {v}" for k, v in (node.headers | FORM).items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        async with asyncio.timeout(20):
            sent = 0
            for piece in pieces:
                writer.write(piece)
                sent += len(piece)
                try:
                    await writer.drain()
                except ConnectionError:
                    break
            head = await reader.readuntil(b"\r\n\r\n")
            answer = head + await reader.read(4096)
    finally:
        writer.transport.abort()
    assert (await node.http.get(f"{node.uri}/healthz")).status_code == 200
    return answer
