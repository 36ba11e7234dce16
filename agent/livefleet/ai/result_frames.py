"""A result between a runner of ours and the agent: media as they are, not as base64 in JSON.

Ten megabytes of pictures as data URLs keep either event loop busy for tens of milliseconds; as they are for few.
"""

import json
from typing import Final

from pydantic import BaseModel, ValidationError

from livefleet.ai.jobs import AiResult, Media

__all__ = ["CONTENT_TYPE", "as_frames", "of_frames"]

CONTENT_TYPE: Final = "application/x-livefleet-result"
"""What a client accepts that wants it so, and what it gets then."""

_SIZE = 4  # bytes of a head's length, big end first


def as_frames(result: AiResult) -> bytes:
    """A head in JSON after its length, then the media one after another. Raises ValueError for what is no JSON."""
    media = [[place, one.content_type, len(one.data)] for place, one in result.media.items()]
    head = json.dumps({"body": result.body, "media": media}, separators=(",", ":"), allow_nan=False).encode()
    return b"".join([len(head).to_bytes(_SIZE, "big"), head, *(one.data for one in result.media.values())])


def of_frames(data: bytes) -> AiResult:
    """The same result. Raises ValueError for anything that is none."""
    start = _SIZE + int.from_bytes(data[:_SIZE], "big")
    try:
        head = _Head.model_validate_json(data[_SIZE:start])
    except ValidationError as error:
        raise ValueError("no head that says what follows") from error
    media: dict[str, Media] = {}
    for place, content_type, size in head.media:
        if size < 0 or start + size > len(data):
            raise ValueError(f"{place} ends after {max(0, len(data) - start)} of {size} bytes")
        media[place] = Media(data[start : start + size], content_type)
        start += size
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes more than the head tells")
    return AiResult(head.body, media)


class _Head(BaseModel):
    body: dict[str, object]
    media: list[tuple[str, str, int]]
