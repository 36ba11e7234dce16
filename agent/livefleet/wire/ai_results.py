"""How an AI worker uploads a job's result: headers, and a multipart body. Both sides of the split.

Files come first, then a JSON part whose `url` fields name them. Source: go-livepeer server/ai_worker.go, ai_http.go.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from python_multipart.multipart import parse_options_header

from livefleet.ai import AiJob, AiResult, Media, json_object, json_pieces
from livefleet.wire.multipart import BadUpload, MultipartReader

__all__ = [
    "ERROR_TYPE",
    "EXTENSIONS",
    "MAX_RESULT",
    "MULTIPART_TYPE",
    "PROTOCOL_VERSION",
    "AiResultReader",
    "encode_result",
]

PROTOCOL_VERSION = "Livepeer-AI-Worker-1.0"
"""Value of `Authorization`: a version, not a secret; that is in `Credentials`."""

ERROR_TYPE = "livepeer/ai-worker-error"
MULTIPART_TYPE = "multipart/mixed"
_JSON_TYPE = "application/json"
_MOST_FILES = 64
EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "audio/wav": ".wav",
}
"""By content type of results."""

MAX_RESULT = 256_000_000
"""Bytes of an upload. The reference takes parts of 3,000,000,000 and holds them all in memory; the largest answers are
minutes of sound and a few pictures of 8192x4320, 100 MB without any compression."""


def encode_result(result: AiResult, boundary: str, name: Callable[[], str]) -> Iterator[bytes]:
    """The body: file by file, then the JSON. `name` gives a new file name without extension."""
    files: list[tuple[str, Media]] = []

    def url_of(media: Media) -> str:
        files.append((f"{name()}{EXTENSIONS.get(media.content_type, '')}", media))
        return files[-1][0]

    body = list(json_pieces(result.with_urls(url_of), only_ascii=True, sort_keys=True))
    for file, media in files:
        yield (
            f"--{boundary}\r\nContent-Disposition: attachment; filename={file}\r\n"
            f"Content-Length: {len(media.data)}\r\nContent-Type: {media.content_type}\r\n\r\n"
        ).encode()
        yield media.data
        yield b"\r\n"
    yield f"--{boundary}\r\nContent-Length: {sum(map(len, body))}\r\nContent-Type: {_JSON_TYPE}\r\n\r\n".encode()
    yield from body
    yield f"\r\n--{boundary}--\r\n".encode()


class AiResultReader:
    """Takes a body piece by piece. `job`: what it answers; `announced`: how many bytes it says to have."""

    def __init__(self, content_type: str, job: AiJob, *, announced: int = 0, limit: int = MAX_RESULT) -> None:
        """Raises BadUpload for a content type without a boundary, or too large a body."""
        self._job = job
        files = _MOST_FILES if job.media is None else job.media
        self._reader = MultipartReader(content_type, max_parts=files + 1, max_part=limit)
        self._size = 0
        self._limit = limit
        self._bound(announced)

    def feed(self, chunk: bytes) -> None:
        """Raises BadUpload."""
        self._size += len(chunk)
        self._bound(self._size)
        self._reader.feed(chunk)

    def result(self) -> AiResult:
        """After the last piece. Raises BadUpload for a body that broke off, or is not what was asked for."""
        files: dict[str, Media] = {}
        body: Mapping[str, Any] | None = None
        for part in self._reader.parts():
            content_type = part.headers.get("content-type", "")
            data = part.data
            part.content.clear()  # or all would be in memory twice
            if _media_type(content_type) == _JSON_TYPE:
                try:
                    body = json_object(data)
                except ValueError as error:
                    raise BadUpload(f"the JSON part: {error}") from error
            elif (disposition := part.headers.get("content-disposition")) is not None:
                _, options = parse_options_header(disposition)
                name = options.get(b"filename", b"").decode(errors="replace")
                files[name] = Media(data, _media_type(content_type))
        if body is None:
            raise BadUpload("no JSON part")
        result = AiResult(body, files)
        named: list[Media] = []

        def taken(media: Media) -> str:
            named.append(media)
            return ""

        try:
            result.with_urls(taken)
        except KeyError as error:
            raise BadUpload(f"no file for {str(error.args[0])[:80]!r}") from error
        if self._job.media is not None and len(named) != self._job.media:
            raise BadUpload(f"{len(named)} file(s), {self._job.media} were asked for")
        return result

    def _bound(self, size: int) -> None:
        if size > self._limit:
            raise BadUpload(f"a result of more than {self._limit} bytes")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
