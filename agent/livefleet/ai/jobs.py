"""One AI job and its result, whoever asks and wherever it is done."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livefleet.spec import Pipeline

__all__ = ["AiJob", "AiResult", "Media"]


@dataclass(frozen=True, slots=True)
class AiJob:
    """What is asked for, checked and with everything filled in that the bill depends on."""

    pipeline: Pipeline
    model_id: str
    fields: Mapping[str, Any]  # by the wire's names, JSON values; neither null nor the upload
    units: int  # what gateways pay for
    upload: bytes | None = None  # the picture or sound, where the pipeline takes one
    streams: bool = False  # the answer comes in chunks
    effort: int = 1  # steps a unit takes, for comparing latencies
    media: int | None = None  # how many pictures, films or sounds have to come back; None: it is not known before


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, film or sound."""

    data: bytes
    content_type: str  # image/png, video/mp4, audio/wav


@dataclass(frozen=True, slots=True)
class AiResult:
    """A pipeline's answer: JSON, and what is too large for it."""

    body: Mapping[str, Any]
    """As the wire has it, but each `url` with a place in `media` stands for what lies there."""

    media: Mapping[str, Media] = field(default_factory=dict)

    @classmethod
    def of_data_urls(cls, body: Mapping[str, Any]) -> "AiResult":
        """A runner's answer, whose media are inside. Raises ValueError for a URL that is no data URL."""
        media: dict[str, Media] = {}

        def take(url: str) -> str:
            place = str(len(media))
            media[place] = _of_data_url(url)
            return place

        return cls(_each_url(body, take), media)

    def with_data_urls(self) -> dict[str, Any]:
        """The JSON of a runner's answer."""
        return self.with_urls(_data_url)

    def with_urls(self, url_of: Callable[[Media], str]) -> dict[str, Any]:
        """The JSON with a URL for each of the media, in the order of the JSON."""
        found: dict[str, Any] = _each_url(self.body, lambda place: url_of(self.media[place]))
        return found


def _each_url(value: Any, change: Callable[[str], str]) -> Any:
    """The same JSON with every text under a key `url` changed."""
    if isinstance(value, Mapping):
        return {
            key: change(inner) if key == "url" and isinstance(inner, str) else _each_url(inner, change)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_each_url(inner, change) for inner in value]
    return value


def _data_url(media: Media) -> str:
    return f"data:{media.content_type};base64,{base64.b64encode(media.data).decode()}"


def _of_data_url(url: str) -> Media:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise ValueError(f"not a data URL: {url[:40]}")
    try:
        return Media(base64.b64decode(data, validate=True), head.removeprefix("data:").removesuffix(";base64"))
    except binascii.Error as error:
        raise ValueError("the data URL is not base64") from error
