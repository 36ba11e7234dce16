"""A result between a runner of ours and the agent: media and long texts as they are, not as base64 and escapes in JSON.

Ten megabytes of pictures as data URLs keep either event loop busy for tens of milliseconds; as they are for few.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from livefleet.ai.jobs import AiResult, Media
from livefleet.ai.json_text import LARGE_TEXT

__all__ = ["CONTENT_TYPE", "as_frames", "of_frames"]

CONTENT_TYPE: Final = "application/x-livefleet-result"
"""What a client accepts that wants it so, and what it gets then."""

_SIZE = 4  # bytes of a head's length, big end first
_MOST_A_TURN = 1 << 20  # bytes that are decoded before other threads get their turn

Place = list[str | int]
"""Where a text stands in the body: keys and indexes from the outside in."""


def as_frames(result: AiResult) -> list[bytes]:
    """A head in JSON after its length, then the media one after another, then the long texts.

    Raises ValueError for what is no JSON.
    """
    texts: list[tuple[Place, list[bytes]]] = []

    def without_texts(value: Any, place: Place) -> Any:
        match value:
            case str() if len(value) > LARGE_TEXT:
                slices = range(0, len(value), LARGE_TEXT)
                texts.append((place, [value[start : start + LARGE_TEXT].encode() for start in slices]))
                return ""
            case Mapping():
                return {key: without_texts(inner, [*place, key]) for key, inner in value.items()}
            case list() | tuple():
                return [without_texts(inner, [*place, n]) for n, inner in enumerate(value)]
            case _:
                return value

    body = without_texts(result.body, [])
    media = [[place, one.content_type, len(one.data)] for place, one in result.media.items()]
    told = {"body": body, "media": media, "texts": [[place, sum(map(len, slices))] for place, slices in texts]}
    head = json.dumps(told, separators=(",", ":"), allow_nan=False).encode()
    return [
        len(head).to_bytes(_SIZE, "big"),
        head,
        *(one.data for one in result.media.values()),
        *(piece for _, slices in texts for piece in slices),
    ]


def of_frames(data: bytes) -> AiResult:
    """The same result. Raises ValueError for anything that is none."""
    start = _SIZE + int.from_bytes(data[:_SIZE], "big")
    try:
        head = _Head.model_validate_json(data[_SIZE:start])
    except ValidationError as error:
        raise ValueError("no head that says what follows") from error
    media: dict[str, Media] = {}
    for name, content_type, size in head.media:
        _check(name, start, size, data)
        media[name] = Media(data[start : start + size], content_type)
        start += size
    body: Any = head.body
    for place, size in head.texts:
        _check("a text", start, size, data)
        body = _with_text(body, place, "".join(_decoded(memoryview(data)[start : start + size])))
        start += size
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes more than the head tells")
    return AiResult(body, media)


def _check(what: str, start: int, size: int, data: bytes) -> None:
    if size < 0 or start + size > len(data):
        raise ValueError(f"{what} ends after {max(0, len(data) - start)} of {size} bytes")


def _decoded(data: memoryview) -> Iterator[str]:
    """In slices that end between two characters."""
    start = 0
    while start < len(data):
        end = min(start + _MOST_A_TURN, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # in the midst of a character
            end += 1
        yield str(data[start:end], "utf-8")
        start = end


def _with_text(body: Any, place: Place, text: str) -> Any:
    """The body with `text` at its place, which is changed in it. Raises ValueError where there is none."""
    if not place:
        return text
    inside = body
    try:
        for step in place[:-1]:
            inside = inside[step]
        _ = inside[place[-1]]  # a text stands for what is there
        inside[place[-1]] = text
    except (LookupError, TypeError) as error:
        raise ValueError(f"no place {place} for a text") from error
    return body


class _Head(BaseModel):
    body: dict[str, Any]
    media: list[tuple[str, str, int]]
    texts: list[tuple[list[str | int], int]] = []
