"""JSON of answers that may be large: masks come as text, up to 125 MB of it.

Writing such a text in one go takes seconds, in which no other thread runs either: Python's lock is held all the while.
So long texts are written slice by slice, in a thread: the loop gets its turn between two slices.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["LARGE_TEXT", "holds_large_text", "json_pieces", "rendered"]

LARGE_TEXT: Final = 1 << 18
"""Characters; what is shorter is written in less than a millisecond."""


async def rendered(value: Any) -> bytes:
    """The JSON, as UTF-8 and without spaces. Raises ValueError for what is no JSON, NaN among it."""
    if not holds_large_text(value):
        return b"".join(json_pieces(value))
    return await asyncio.to_thread(lambda: b"".join(json_pieces(value)))


def holds_large_text(value: Any) -> bool:
    """Whether writing it takes long enough for others to notice."""
    match value:
        case str():
            return len(value) > LARGE_TEXT
        case Mapping():
            return any(holds_large_text(inner) for inner in value.values())
        case list() | tuple():
            return any(holds_large_text(inner) for inner in value)
        case _:
            return False


def json_pieces(value: Any, *, only_ascii: bool = False, sort_keys: bool = False) -> Iterator[bytes]:
    """The same piece by piece, none of them large."""

    def small(one: Any) -> bytes:
        text = json.dumps(one, ensure_ascii=only_ascii, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
        return text.encode()

    def write(one: Any) -> Iterator[bytes]:
        match one:
            case _ if not holds_large_text(one):
                yield small(one)
            case str():
                yield b'"'
                for start in range(0, len(one), LARGE_TEXT):
                    yield small(one[start : start + LARGE_TEXT])[1:-1]
                yield b'"'
            case Mapping():
                opening = b"{"
                for key in sorted(one) if sort_keys else one:
                    yield opening + small(key) + b":"
                    yield from write(one[key])
                    opening = b","
                yield b"}"
            case _:
                opening = b"["
                for inner in one:
                    yield opening
                    yield from write(inner)
                    opening = b","
                yield b"]"

    return write(value)
