"""Bodies as they come off the wire, in any pieces."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from livefleet.ai import BadRequest, Malformed, NoCapacity, kind_of
from livefleet.kernel import OutsideWorld, Refused
from livefleet.spec import Pipeline
from livefleet.wire.server.ai_requests import MAX_JSON, read_request
from livefleet.wire.server.listening import while_listening
from livefleet.wire.server.source_memory import SourceMemory

pytestmark = pytest.mark.unit

JSON = kind_of(Pipeline.TEXT_TO_IMAGE)
FORM = kind_of(Pipeline.IMAGE_TO_IMAGE)
MIB = 2**20


def a_request(pieces, *, content_type="multipart/form-data; boundary=b", ends=True, **headers):
    """A request whose body comes in these pieces, and then its end or nothing any more."""
    parts = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    parts += [{"type": "http.request", "body": b"", "more_body": False}] if ends else []
    coming = iter(parts)

    async def receive():
        part = next(coming, None)
        if part is None:
            await asyncio.Event().wait()
        return part

    sent = [(b"content-type", content_type.encode())]
    sent += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": sent}, receive)


async def read(request, kind=FORM, *, memory=None, **limits):
    memory = memory or SourceMemory(10**9)
    return await read_request(request, kind, memory.begin(), **limits)


def form(upload, **fields):
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'
    return b"".join(parts) + head + upload + b"\r\n--b--\r\n"


@given(st.binary(max_size=200), st.integers(1, 60))
def test_form__in_any_pieces__is_the_same(upload, size):
    body = form(upload, prompt="Grüße", model_id="a/b")
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    found = asyncio.run(read(a_request(pieces)))
    assert (found.fields, found.upload) == ({"prompt": "Grüße", "model_id": "a/b"}, upload)


@given(st.binary(max_size=400))
def test_form__any_bytes__are_refused_or_read(body):
    try:
        found = asyncio.run(read(a_request([b"--b\r\n" + body])))
    except Malformed:
        return
    assert all(isinstance(value, str) for value in found.fields.values())


async def test_form__file_of_the_greatest_size__is_taken_and_one_byte_more_is_not():
    assert len((await read(a_request([form(bytes(50 * MIB))]))).upload) == 50 * MIB
    with pytest.raises(BadRequest, match="returned 400: file too large; max file size is 50MB"):
        await read(a_request([form(bytes(50 * MIB + 1))]))


async def test_form__announced_too_large__nothing_is_read():
    request = a_request([], ends=False, content_length=str(2 * 10**9))
    with pytest.raises(BadRequest, match="file too large"):
        await read(request)


async def test_json__too_large__is_refused_whether_announced_or_not():
    for headers in ({"content_length": str(MAX_JSON + 1)}, {}):
        with pytest.raises(BadRequest, match="body of more than 1000000 bytes"):
            await read(a_request([b" " * (MAX_JSON + 1)], **headers), JSON)


async def test_body__never_ends__is_given_up():
    with pytest.raises(Refused, match="in time") as caught:
        await read(a_request([b"--b\r\n"], ends=False), timeout_s=0.01)
    assert caught.value.status == 408


async def test_body__peer_goes_away__is_told():
    async def receive():
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(ClientDisconnect):
        await read(request, JSON)


async def test_memory__all_taken__is_no_capacity_and_what_is_read_counts_until_it_is_dropped():
    memory = SourceMemory(3 * MIB)
    first = await read(a_request([form(bytes(2 * MIB))]), memory=memory)
    with pytest.raises(NoCapacity):
        await read(a_request([form(bytes(2 * MIB))]), memory=memory)
    del first
    assert len((await read(a_request([form(bytes(2 * MIB))]), memory=memory)).upload) == 2 * MIB


async def test_memory__gave_way_to_another_after_its_last_byte__is_no_capacity():
    memory = SourceMemory(3 * MIB)
    arriving = memory.begin()
    pieces = iter([form(bytes(MIB))])

    async def receive():
        piece = next(pieces, None)
        if piece is None:
            arriving.give_up()
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    with pytest.raises(NoCapacity):
        await read_request(Request({"type": "http", "method": "POST", "headers": headers}, receive), FORM, arriving)


async def test_listening__work_ends__is_its_value():
    async def work():
        return 7

    assert await while_listening(a_request([], ends=False).receive, work()) == 7


async def test_listening__work_fails__is_its_error_itself():
    async def work():
        raise OutsideWorld("no")

    with pytest.raises(OutsideWorld, match="no"):
        await while_listening(a_request([], ends=False).receive, work())


async def test_listening__peer_goes_away__the_work_is_cancelled_and_cleans_up():
    ended = []

    async def receive():
        return {"type": "http.disconnect"}

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ClientDisconnect):
        await while_listening(receive, work())
    assert ended == [True]
