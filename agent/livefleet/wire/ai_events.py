"""Answers that come chunk by chunk, as events: `data: <json>` and an empty line each.

Source: go-livepeer server/ai_http.go, ai_worker.go; the last chunk has a `finish_reason`, and no `[DONE]` follows.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from livefleet.ai import json_object
from livefleet.wire.multipart import BadUpload

__all__ = ["EVENTS_TYPE", "EventReader", "encode_event", "has_choice", "is_last"]

EVENTS_TYPE = "text/event-stream"

_MAX_LINE = 1_000_000  # bytes; a chunk is a few words


def encode_event(chunk: Mapping[str, Any]) -> bytes:
    """One chunk."""
    return b"data: %s\n\n" % json.dumps(chunk, separators=(",", ":"), allow_nan=False).encode()


def has_choice(chunk: Mapping[str, Any]) -> bool:
    """Whether Go peers can read it: they look at `choices[0]` without asking."""
    choices = chunk.get("choices")
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], Mapping)


def is_last(chunk: Mapping[str, Any]) -> bool:
    """Whether the answer ends with this one."""
    return has_choice(chunk) and bool(chunk["choices"][0].get("finish_reason"))


class EventReader:
    """Takes a body piece by piece and gives its chunks."""

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, piece: bytes) -> Iterator[Mapping[str, Any]]:
        """The chunks that this piece completes; what is no data is read over. Raises BadUpload."""
        *ended, rest = piece.split(b"\n")
        for line in ended:
            self._keep(line)
            whole = bytes(self._line)
            self._line.clear()
            if whole.startswith(b"data:"):
                yield _chunk(whole.removeprefix(b"data:").strip())
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        if len(self._line) + len(part) > _MAX_LINE:
            raise BadUpload(f"an event of more than {_MAX_LINE} bytes")
        self._line += part


def _chunk(data: bytes) -> Mapping[str, Any]:
    try:
        chunk = json_object(data)
    except ValueError as error:
        raise BadUpload(f"an event that is no chunk: {error}") from error
    if not has_choice(chunk):
        raise BadUpload(f"a chunk without `choices`: {data[:200].decode(errors='replace')}")
    return chunk
