"""What gateways send for AI work, read within limits: JSON, or multipart where the pipeline takes a file.

Texts are those of Go's decoders where it has any: `net/http.Request.MultipartReader`, `mime/multipart`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from livefleet.ai import BadRequest, Kind, Malformed, NoCapacity, json_object
from livefleet.kernel import Refused
from livefleet.wire.multipart import BadUpload, MultipartReader, Part
from livefleet.wire.server.source_memory import Arriving

__all__ = ["MAX_FIELDS", "MAX_JSON", "AiRequest", "read_request"]

MAX_JSON = 1_000_000
"""Bytes of a JSON body."""

MAX_FIELDS = 2_000_000
"""Bytes of a form without its file: a low-resolution mask is 65,536 numbers as text."""

_MAX_PARTS = 64
_READ_S = 60.0
_FORM = b"multipart/form-data"


@dataclass(frozen=True, slots=True)
class AiRequest:
    """A body as it came in."""

    fields: Mapping[str, Any]
    upload: bytes | None
    held: Arriving  # the account that the upload's bytes are on while somebody has this


async def read_request(
    request: Request, kind: Kind[Any], arriving: Arriving, *, timeout_s: float = _READ_S
) -> AiRequest:
    """The fields by name, and the file.

    Raises Malformed, BadRequest for more than is taken (at once where that is announced), NoCapacity while all
    requests together are too many bytes, ClientDisconnect.
    """
    read = _json if kind.upload is None else _form
    try:
        async with asyncio.timeout(timeout_s):
            fields, upload = await read(request, kind, arriving)
    except TimeoutError as error:
        raise Refused("the request did not come in time", status=408) from error
    arriving.stop()
    return AiRequest(fields, upload, arriving)


async def _json(request: Request, kind: Kind[Any], arriving: Arriving) -> tuple[Mapping[str, Any], None]:
    body = bytearray()
    too_large = BadRequest(kind.title, f"body of more than {MAX_JSON} bytes")
    async for piece in _pieces(request, MAX_JSON, too_large, arriving):
        body += piece
    try:
        return json_object(bytes(body)), None
    except ValueError as error:
        raise Malformed(str(error)) from error


async def _form(request: Request, kind: Kind[Any], arriving: Arriving) -> tuple[Mapping[str, Any], bytes | None]:
    assert kind.upload is not None
    limit = kind.upload.max_bytes
    too_large = BadRequest(kind.title, f"file too large; max file size is {limit // 2**20}MB")
    content_type = request.headers.get("content-type", "")
    if not (media_type := parse_options_header(content_type))[0] == _FORM:
        raise Malformed("request Content-Type isn't multipart/form-data")
    if not media_type[1].get(b"boundary"):
        raise Malformed("no multipart boundary param in Content-Type")
    try:
        reader = MultipartReader(content_type, max_parts=_MAX_PARTS, max_part=limit + MAX_FIELDS)
        async for piece in _pieces(request, limit + MAX_FIELDS, too_large, arriving):
            reader.feed(piece)
        parts = reader.parts()
    except BadUpload as error:
        raise Malformed(f"multipart: {error}") from error
    fields: dict[str, Any] = {}
    upload: bytes | None = None
    for part in parts:
        name, is_file = _name(part)
        if name == kind.upload.field and is_file:
            upload = part.data
        elif not is_file and name is not None:
            fields[name] = part.data.decode(errors="replace")
    if upload is not None and len(upload) > limit:
        raise too_large
    return fields, upload


async def _pieces(request: Request, limit: int, too_large: Refused, arriving: Arriving) -> AsyncIterator[bytes]:
    if int(request.headers.get("content-length", "0")) > limit:  # a number, or nginx had refused it
        raise too_large
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise too_large
        _count(arriving, len(piece))
        yield piece
    _count(arriving, 0)  # it may have had to give way since the last one


def _count(arriving: Arriving, size: int) -> None:
    try:
        arriving.count(size)
    except Refused as error:
        raise NoCapacity("", "requests that are being read take all memory that they may") from error


def _name(part: Part) -> tuple[str | None, bool]:
    """The field's name, and whether it is a file: as for Go, one without a file name is text."""
    kind, options = parse_options_header(part.headers.get("content-disposition", ""))
    name = options.get(b"name")
    known = name is not None and kind == b"form-data"
    return name.decode(errors="replace") if known and name is not None else None, bool(options.get(b"filename"))
