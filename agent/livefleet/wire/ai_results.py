"""How an AI worker uploads a job's result: headers, and a multipart body. Both sides of the split.

Files come first, then a JSON part whose `url` fields name them. Source: go-livepeer server/ai_worker.go, ai_http.go.
"""

import json
from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.multipart import parse_options_header

from livefleet.ai import ImageResult
from livefleet.wire.multipart import BadUpload, MultipartReader

__all__ = ["ERROR_TYPE", "MULTIPART_TYPE", "PROTOCOL_VERSION", "AiResultReader", "encode_images"]

PROTOCOL_VERSION = "Livepeer-AI-Worker-1.0"
"""Value of `Authorization`: a version, not a secret; that is in `Credentials`."""

ERROR_TYPE = "livepeer/ai-worker-error"
MULTIPART_TYPE = "multipart/mixed"
_JSON_TYPE = "application/json"
_MAX_FILE = 64_000_000  # bytes; the largest image that is made is 2048x2048, 17 MB without any compression


def encode_images(images: Sequence[ImageResult], boundary: str, name: Callable[[], str]) -> Iterator[bytes]:
    """The body, image by image, then the JSON. `name` gives a new file name without extension."""
    entries = []
    for image in images:
        file = f"{name()}.png"
        entries.append({"nsfw": image.nsfw, "seed": image.seed, "url": file})
        yield (
            f"--{boundary}\r\nContent-Disposition: attachment; filename={file}\r\n"
            f"Content-Length: {len(image.png)}\r\nContent-Type: image/png\r\n\r\n"
        ).encode()
        yield image.png
        yield b"\r\n"
    body = json.dumps({"images": entries}, separators=(",", ":")).encode()
    yield f"--{boundary}\r\nContent-Length: {len(body)}\r\nContent-Type: {_JSON_TYPE}\r\n\r\n".encode()
    yield body
    yield f"\r\n--{boundary}--\r\n".encode()


class AiResultReader:
    """Takes a body piece by piece; `images` are expected in it."""

    def __init__(self, content_type: str, *, images: int) -> None:
        """Raises BadUpload for a content type without a boundary."""
        self._images = images
        self._reader = MultipartReader(content_type, max_parts=images + 1, max_part=_MAX_FILE)

    def feed(self, chunk: bytes) -> None:
        """Raises BadUpload."""
        self._reader.feed(chunk)

    def images(self) -> tuple[ImageResult, ...]:
        """After the last piece. Raises BadUpload for a body that broke off, or is not what was asked for."""
        files: dict[str, bytes] = {}
        found: _Images | None = None
        for part in self._reader.parts():
            if _media_type(part.headers.get("content-type", "")) == _JSON_TYPE:
                try:
                    found = _Images.model_validate_json(part.data)
                except ValidationError as error:
                    raise BadUpload(f"the JSON part is no list of images: {error.error_count()} fault(s)") from error
            elif (disposition := part.headers.get("content-disposition")) is not None:
                _, options = parse_options_header(disposition)
                files[options.get(b"filename", b"").decode(errors="replace")] = part.data
        if found is None:
            raise BadUpload("no JSON part")
        if len(found.images) != self._images:
            raise BadUpload(f"{len(found.images)} image(s), {self._images} were asked for")
        if missing := [image.url for image in found.images if image.url not in files]:
            raise BadUpload(f"no file for {missing[0][:80]!r}")
        return tuple(ImageResult(files[i.url], seed=i.seed, nsfw=bool(i.nsfw)) for i in found.images)


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    url: str
    seed: int = 0
    nsfw: bool | None = None


class _Images(BaseModel):
    model_config = ConfigDict(extra="ignore")

    images: list[_Image] = Field(min_length=1)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
