"""A request to each AI pipeline as gateways write it, and what they reckon that it costs.

Source: go-livepeer server/ai_process.go, ai/worker/multipart.go.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from livefleet.ai.pictures import size_of
from livefleet.ai.sounds import seconds_of
from livefleet.kernel import BadInput

__all__ = ["PIPELINES", "AiRequest", "Form"]

_FILM_FRAMES = 25
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Form:
    """What gateways know of one pipeline."""

    capability: int
    units: "Callable[[AiRequest], int]"
    upload: str = ""  # the file's field; with one the request is multipart
    text: str = "prompt"  # the field of the words to work on
    model: str = "model_id"
    defaults: Mapping[str, Any] = field(default_factory=dict)  # what they fill in before they send it


@dataclass(frozen=True, slots=True)
class AiRequest:
    """What is asked of which model. `fields` go by the wire's JSON names, without the model and the file."""

    pipeline: str
    model_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    upload: bytes = b""

    @property
    def form(self) -> Form:
        """Raises BadInput for a pipeline that there is none of."""
        found = PIPELINES.get(self.pipeline)
        if found is None:
            raise BadInput(f"there is no pipeline {self.pipeline!r}; there are {', '.join(sorted(PIPELINES))}")
        return found

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in chunks."""
        return self.fields.get("stream") is True

    @property
    def manifest_id(self) -> str:
        """The account that the orchestrator keeps for the model."""
        return f"{self.form.capability}_{self.model_id}"

    def number(self, name: str) -> int:
        """A whole number among the fields, 1 where it is missing."""
        try:
            return int(self.fields.get(name, self.form.defaults.get(name, 1)))
        except (TypeError, ValueError):
            return 1  # the orchestrator says what is wrong with it

    def units(self) -> int:
        """What is paid for. Raises BadInput for a file that cannot be measured."""
        try:
            return self.form.units(self)
        except ValueError as error:
            raise BadInput(f"{self.form.upload}: {error}") from error

    def body(self) -> dict[str, Any]:
        """Arguments for httpx."""
        whole = {self.form.model: self.model_id, **self.form.defaults, **self.fields}
        if not self.form.upload:
            return {"json": whole}
        if self.form.upload == "audio":
            whole.setdefault("metadata", json.dumps({"duration": str(int(seconds_of(self.upload)))}))
        return {
            "data": {name: _text(value) for name, value in whole.items()},
            "files": {self.form.upload: (self.form.upload, self.upload, "application/octet-stream")},
        }


def _text(value: Any) -> str:
    """As Go writes it into a form."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6f}"
        case str():
            return value
        case _:
            return json.dumps(value, separators=(",", ":"))


def _pixels(request: AiRequest) -> int:
    return request.number("height") * request.number("width")


def _picture(request: AiRequest) -> int:
    width, height = size_of(request.upload)
    return width * height


def _each(one: Callable[[AiRequest], int]) -> Callable[[AiRequest], int]:
    return lambda request: one(request) * request.number("num_images_per_prompt")


PIPELINES: Final[Mapping[str, Form]] = {
    "text-to-image": Form(27, _each(_pixels), defaults={"height": 512, "width": 512, "num_images_per_prompt": 1}),
    "image-to-image": Form(28, _each(_picture), upload="image", defaults={"num_images_per_prompt": 1}),
    "image-to-video": Form(
        29,
        lambda request: _pixels(request) * _FILM_FRAMES,
        upload="image",
        defaults={"height": 576, "width": 1024},
    ),
    "upscale": Form(30, _picture, upload="image"),
    "audio-to-text": Form(31, lambda request: int(seconds_of(request.upload)) * _MILLISECONDS, upload="audio"),
    "segment-anything-2": Form(32, _picture, upload="image"),
    "llm": Form(33, lambda request: request.number("max_tokens"), model="model", defaults={"max_tokens": 256}),
    "image-to-text": Form(34, _picture, upload="image"),
    # The orchestrator bills a thousand a character; stock gateways pay one a byte, and their balance runs dry.
    "text-to-speech": Form(36, lambda request: len(str(request.fields.get("text", ""))) * 1000, text="text"),
}
"""By name, as far as one request and one answer go."""
