"""The fields and the file of an AI request's body: JSON, or multipart where the pipeline takes a file."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from livefleet.ai.kinds import Kind
from livefleet.ai.parsing import json_object
from livefleet.kernel import LivefleetError

__all__ = ["MAX_JSON", "BadForm", "read_fields"]

MAX_JSON = 1_000_000
"""Bytes of a JSON body."""

_MAX_FIELDS = 64
_MAX_FIELD = 1_000_000  # bytes


class BadForm(LivefleetError):
    """A body that cannot be read; `status` is what ai-runner answers to it."""

    def __init__(self, message: str, status: int, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.field = field

    @property
    def fault(self) -> dict[str, Any]:
        """As FastAPI lists it."""
        return {"type": "missing" if self.field else "json_invalid", "loc": [self.field] if self.field else [],
                "msg": str(self)}  # fmt: skip


async def read_fields(http: Request, kind: Kind[Any]) -> tuple[Mapping[str, Any], bytes | None]:
    """Fields by name and the upload. Raises BadForm, and ClientDisconnect when the body ends early."""
    if kind.upload is None:
        try:
            return json_object(await _body(http)), None
        except ValueError as error:
            raise BadForm(f"JSON decode error: {error}", 422) from error
    limit = kind.upload.max_bytes
    if int(http.headers.get("content-length", "0")) > limit + MAX_JSON:
        raise BadForm(kind.upload.too_large, 413)
    try:
        form = await http.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD)
    except HTTPException as error:
        raise BadForm(str(error.detail), 400) from error
    try:
        file = form.get(kind.upload.field)
        if not isinstance(file, UploadFile):
            raise BadForm("Field required", 422, kind.upload.field)
        data = await file.read(limit + 1)
    finally:
        await form.close()
    if len(data) > limit:
        raise BadForm(kind.upload.too_large, 413)
    return {name: value for name, value in form.items() if isinstance(value, str)}, data


async def _body(http: Request) -> bytes:
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MAX_JSON:
            raise BadForm(f"body of more than {MAX_JSON} bytes", 413)
    return bytes(body)
