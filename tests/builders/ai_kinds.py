"""Kinds that need no model: what the API around them does is seen without one."""

from collections.abc import Hashable
from typing import Any

from livefleet.ai.kinds import JobFields, Kind, Model, Prompt, Upload
from livefleet.ai.settings import RunnerSettings
from livefleet.spec import Pipeline


class TextFields(JobFields):
    prompt: Prompt = ""
    model: str = ""
    stream: bool = False
    seed: int | None = None
    group: str | None = None


class TextKind(Kind[TextFields]):
    """Streams when asked to; jobs of one group may be computed together."""

    pipeline = Pipeline.LLM
    title = "LLM"
    fields = TextFields
    runner_fields = TextFields
    model_field = "model"
    out_of_memory = "GPU out of memory."
    failed = "Internal server error during LLM processing."
    dot = ""
    token_dot = ""
    one_failure = True

    def units(self, fields: TextFields, upload: bytes | None) -> int:
        return len(fields.prompt)

    def batch_key(self, fields: TextFields, upload: bytes | None) -> Hashable | None:
        return fields.group

    def streams(self, fields: TextFields) -> bool:
        return fields.stream

    def proof(self, settings: RunnerSettings) -> tuple[TextFields, None]:
        return TextFields(prompt="warm"), None

    def load(self, settings: RunnerSettings) -> Model[TextFields]:
        raise AssertionError("its models are handed in, none is loaded")


class PictureFields(JobFields):
    prompt: Prompt
    model_id: str = ""


class PictureKind(TextKind):
    """Takes a picture of at most 1000 bytes."""

    pipeline = Pipeline.IMAGE_TO_IMAGE
    title = "image-to-image"
    fields: Any = PictureFields
    runner_fields: Any = PictureFields
    model_field = "model_id"
    upload = Upload("image", max_bytes=1000)
    one_failure = False
    failed = "Image-to-image pipeline error."

    def batch_key(self, fields: Any, upload: bytes | None) -> None:
        return None

    def streams(self, fields: Any) -> bool:
        return False
