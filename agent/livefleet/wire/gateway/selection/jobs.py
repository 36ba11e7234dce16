"""The jobs that a node may be looked for with."""

from collections.abc import Sequence
from dataclasses import replace

from livefleet.kernel import BadInput
from livefleet.media import Profile
from livefleet.wire.capabilities import (
    DEFAULT_CAPABILITIES,
    Capabilities,
    Capability,
    ModelConstraint,
    capability_of_pipeline,
    pipeline_of_capability,
    required_for,
)
from livefleet.wire.gateway.payer import estimate_units
from livefleet.wire.gateway.selection.models import Job

__all__ = ["model_job", "transcoding_job"]

_SEGMENT_S = 2.0
_IMAGE_UNITS = 512 * 512  # one image of the usual size


def transcoding_job(profiles: Sequence[Profile], *, min_version: str = "") -> Job:
    """A stream of an H.264 source into these renditions, in segments of two seconds."""
    needs = replace(required_for(profiles), min_version=min_version)
    return Job(needs, units=estimate_units(profiles, _SEGMENT_S))


def model_job(text: str, *, min_version: str = "") -> Job:
    """Work for a model, named `PIPELINE/MODEL`; cold will do. Raises BadInput for an unknown pipeline."""
    pipeline, _, model_id = text.partition("/")
    capability = capability_of_pipeline(pipeline)
    if capability is None or not model_id:
        known = ", ".join(name for c in Capability if (name := pipeline_of_capability(c)) is not None)
        raise BadInput(f"{text!r}: write PIPELINE/MODEL, with one of the pipelines {known}")
    needs = Capabilities.of(DEFAULT_CAPABILITIES, models={capability: {model_id: ModelConstraint()}})
    return Job(replace(needs, min_version=min_version), units=_IMAGE_UNITS, is_ai=True)
