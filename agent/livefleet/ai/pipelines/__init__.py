"""One file a pipeline, each with its `KIND`. Reading a kind imports no torch; loading its model does."""

import importlib
from functools import cache
from typing import Any

from livefleet.ai.kinds import Kind
from livefleet.spec import Pipeline

__all__ = ["SERVED", "kind_of"]

SERVED: tuple[Pipeline, ...] = (
    Pipeline.TEXT_TO_IMAGE,
    Pipeline.IMAGE_TO_IMAGE,
    Pipeline.IMAGE_TO_VIDEO,
    Pipeline.UPSCALE,
    Pipeline.AUDIO_TO_TEXT,
    Pipeline.SEGMENT_ANYTHING_2,
    Pipeline.LLM,
    Pipeline.IMAGE_TO_TEXT,
    Pipeline.TEXT_TO_SPEECH,
)
"""What a runner of ours can load, in the order of the wire's numbers."""


@cache
def kind_of(pipeline: Pipeline) -> Kind[Any]:
    """The kind of a pipeline that is served."""
    kind: Kind[Any] = importlib.import_module(f"{__name__}.{pipeline.replace('-', '_')}").KIND
    return kind
