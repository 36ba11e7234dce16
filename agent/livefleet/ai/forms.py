"""The fields and the file of an AI request's body: JSON, or multipart where the pipeline takes a file."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive

from livefleet.ai.kinds import Kind
from livefleet.ai.parsing import json_object
from livefleet.kernel import LivefleetError

__all__ = ["MAX_BESIDE_FILE", "MAX_JSON", "BadForm", "discard_rest", "read_fields"]

MAX_JSON = 1_000_000
"""Bytes of a JSON body."""

MAX_BESIDE_FILE = 4_000_000
"""Bytes of a form without its file."""

_MAX_DISCARDED = 64 * 1024 * 1024  # bytes
_DISCARD_S = 5.0
_MAX_FIELDS = 64
_MAX_FIELD = 2_000_000  # bytes; `mask_input` of segment-anything-2 is 256x256 numbers as text


class BadForm(LivefleetError):
    """A body that cannot be read; `status` is what ai-runner answers to it."""

    def __init__(self, message: str, status: int, field: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self._kind = kind or ("missing" if field else "json_invalid")

    @property
    def fault(self) -> dict[str, Any]:
        """As FastAPI lists it."""
        return {"type": self._kind, "loc": [self.field] if self.field else [], "msg": str(self)}


async def read_fields(http: Request, kind: Kind[Any]) -> tuple[Mapping[str, Any], bytes | None]:
    """Fields by name and the upload. Raises BadForm, and ClientDisconnect when the body ends early.

    Bytes are counted while they come, so a body that does not say how long it is ends at the limit too.
    """
    if kind.upload is None:
        body = _Bounded(http, MAX_JSON, f"body of more than {MAX_JSON} bytes")
        try:
            return json_object(await body.request.body()), None
        except MultiPartException:
            raise body.too_large from None
        except ValueError as error:
            raise BadForm(f"JSON decode error: {error}", 422) from error
    limit = kind.upload.max_bytes
    body = _Bounded(http, limit + MAX_BESIDE_FILE, kind.upload.too_large)
    try:
        form = await body.request.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD)
    except (HTTPException, MultiPartException) as error:
        raise body.too_large if body.is_exceeded else BadForm(_words(error), 400) from error
    try:
        data = await _file(form.get(kind.upload.field), kind.upload.field, limit)
    finally:
        await form.close()
    if len(data) > limit:
        raise body.too_large
    return {name: value for name, value in form.items() if isinstance(value, str)}, data


async def discard_rest(http: Request) -> bool:
    """Take what is left of a refused body, so that its sender comes to read the answer; False where it has no near end.

    Then the connection is best closed, because nothing else ends it.
    """
    left = _MAX_DISCARDED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_S):
            while left > 0:
                message = await http.receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return True
    return False


async def _file(part: UploadFile | str | None, field: str, limit: int) -> bytes:
    """What was uploaded, read to one byte past the limit."""
    if part is None:
        raise BadForm("Field required", 422, field)
    if isinstance(part, str):
        raise BadForm("Value error, Expected UploadFile, received: <class 'str'>", 422, field, "value_error")
    return await part.read(limit + 1)


class _Bounded:
    """A request whose body ends with MultiPartException past so many bytes: Starlette's parser cleans up after that."""

    def __init__(self, http: Request, limit: int, text: str) -> None:
        self.request = Request(http.scope, self._receive)
        self.too_large = BadForm(text, 413)
        self.is_exceeded = False
        self._from: Receive = http.receive
        self._left = limit
        told = http.headers.get("content-length", "")
        if told.isdecimal() and int(told) > limit:
            raise self.too_large

    async def _receive(self) -> Message:
        message = await self._from()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_exceeded = True
            raise MultiPartException("too large")
        return message


def _words(error: HTTPException | MultiPartException) -> str:
    return error.message if isinstance(error, MultiPartException) else str(error.detail)
