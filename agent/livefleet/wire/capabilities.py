"""What a node can do, as bit strings and models, and whether a job fits.

Source: lp_rpc.proto Capabilities, go-livepeer core/capabilities.go.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from livefleet.media import Container, H264Profile, Profile, TranscodeJob, VideoCodec

__all__ = [
    "DEFAULT_CAPABILITIES",
    "WIRE_VERSION",
    "Capabilities",
    "Capability",
    "ModelConstraint",
    "capability_of_pipeline",
    "from_words",
    "lowest_version",
    "needs_of",
    "pipeline_of_capability",
    "required_for",
    "to_words",
    "version_satisfies",
]

WIRE_VERSION = "0.9.1"
"""The go-livepeer version whose wire behaviour this node has, told as `Capabilities.version`.

Peers compare it as a semver with their own minimum and refuse `undefined` or anything unparsable: a gateway started
with a minimum version drops such an orchestrator, and an orchestrator refuses AI workers below its own version.
"""


class Capability(IntEnum):
    """Ids on the wire; a bit's place in the bit string."""

    H264 = 0
    MPEGTS = 1
    MP4 = 2
    FRACTIONAL_FRAMERATES = 3
    STORAGE_DIRECT = 4
    STORAGE_S3 = 5
    STORAGE_GCS = 6
    PROFILE_H264_BASELINE = 7
    PROFILE_H264_MAIN = 8
    PROFILE_H264_HIGH = 9
    PROFILE_H264_CONSTRAINED_HIGH = 10
    GOP = 11
    AUTH_TOKEN = 12
    MPEG7_SIGNATURE = 14
    HEVC_DECODE = 15
    HEVC_ENCODE = 16
    VP8_DECODE = 17
    VP9_DECODE = 18
    VP8_ENCODE = 19
    VP9_ENCODE = 20
    H264_DECODE_444_8BIT = 21
    H264_DECODE_422_8BIT = 22
    H264_DECODE_444_10BIT = 23
    H264_DECODE_422_10BIT = 24
    H264_DECODE_420_10BIT = 25
    SEGMENT_SLICING = 26
    TEXT_TO_IMAGE = 27
    IMAGE_TO_IMAGE = 28
    IMAGE_TO_VIDEO = 29
    UPSCALE = 30
    AUDIO_TO_TEXT = 31
    SEGMENT_ANYTHING_2 = 32
    LLM = 33
    IMAGE_TO_TEXT = 34
    LIVE_VIDEO_TO_VIDEO = 35
    TEXT_TO_SPEECH = 36
    BYOC = 37


DEFAULT_CAPABILITIES = frozenset(Capability(i) for i in (*range(13), 14, 26))
"""What every transcoding node of the reference offers; its AI gateways ask for all of it too."""

_AI = range(Capability.TEXT_TO_IMAGE, Capability.TEXT_TO_SPEECH + 1)
_SEMVER = re.compile(r"^v?([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$")


@dataclass(frozen=True, slots=True)
class ModelConstraint:
    """One AI model under a capability. Source: Capabilities.CapabilityConstraints.ModelConstraint."""

    warm: bool = False
    capacity: int = 0
    runner_version: str = ""
    capacity_in_use: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a node offers, or what a job needs."""

    words: tuple[int, ...] = ()  # uint64 each, bit c % 64 of word c // 64
    mandatories: tuple[int, ...] = ()  # likewise; a job must know these
    capacities: Mapping[int, int] = field(default_factory=dict)  # by id
    version: str = ""
    min_version: str = ""  # what the sender asks of the peer
    models: Mapping[int, Mapping[str, ModelConstraint]] = field(default_factory=dict)  # by id, then model id

    @classmethod
    def of(
        cls,
        ids: Iterable[int],
        *,
        version: str = "",
        models: Mapping[int, Mapping[str, ModelConstraint]] | None = None,
    ) -> "Capabilities":
        """Capacity 1 for each id, as a fresh node has it."""
        wanted = sorted(set(ids) | set(models or {}))
        return cls(words=to_words(wanted), capacities=dict.fromkeys(wanted, 1), version=version, models=models or {})

    @property
    def ids(self) -> frozenset[int]:
        """The ids whose bit is set."""
        return from_words(self.words)

    @property
    def priced_models(self) -> tuple[tuple[str, str], ...]:
        """(pipeline, model id) of every model whose capability also has a capacity: what a price is asked for."""
        return tuple(
            (pipeline, model)
            for capability in sorted(self.capacities)
            if (pipeline := pipeline_of_capability(capability)) is not None
            for model in sorted(self.models.get(capability, {}))
        )

    def serves(self, job: "Capabilities") -> bool:
        """Whether a job with these needs fits this node."""
        return (
            version_satisfies(job.min_version, self.version)
            and _is_subset(self.mandatories, job.words)
            and self._has_models_of(job)
            and _is_subset(job.words, self.words)
        )

    def transcodes(self, job: "Capabilities") -> bool:
        """The narrower rule for choosing a worker: bits and version only, models not looked at."""
        return version_satisfies(job.min_version, self.version) and _is_subset(job.words, self.words)

    def _has_models_of(self, job: "Capabilities") -> bool:
        for capability, wanted in job.models.items():
            offered = self.models.get(capability)
            if offered is None:
                continue
            for model_id, constraint in wanted.items():
                own = offered.get(model_id)
                if own is None or (constraint.warm and not own.warm):
                    return False
                if not version_satisfies(constraint.runner_version, own.runner_version):
                    return False
        return True

    def with_worker(self, worker: "Capabilities") -> "Capabilities":
        """These, with the capacities of a worker that joined on top."""
        capacities = dict(self.capacities)
        for capability, capacity in worker.capacities.items():
            capacities[capability] = capacities.get(capability, 0) + capacity
        return replace(self, words=to_words(self.ids | set(worker.capacities)), capacities=capacities)


def to_words(ids: Iterable[int]) -> tuple[int, ...]:
    """The bit string of ids; ids below zero are pseudo ids and skipped."""
    total = 0
    for capability in ids:
        if capability >= 0:
            total |= 1 << capability
    return tuple((total >> shift) & (2**64 - 1) for shift in range(0, total.bit_length(), 64))


def from_words(words: Iterable[int]) -> frozenset[int]:
    """The ids of a bit string."""
    return frozenset(
        64 * index + bit for index, word in enumerate(words) for bit in range(word.bit_length()) if word >> bit & 1
    )


def version_satisfies(minimum: str, version: str) -> bool:
    """Whether `version` is at least `minimum`. Suffixes mean "after the release" in this network and are ignored."""
    if not minimum:
        return True
    if version in ("", "undefined"):
        return False
    wanted = _parse_version(minimum)
    if wanted is None:
        return True
    have = _parse_version(version)
    return have is not None and have >= wanted


def lowest_version(versions: Iterable[str]) -> str:
    """The lowest of those that are versions; empty where none is."""
    known = [(parsed, version) for version in versions if (parsed := _parse_version(version)) is not None]
    return min(known)[1] if known else ""


def capability_of_pipeline(pipeline: str) -> Capability | None:
    """The AI capability of a pipeline's name (`text-to-image`), None for unknown ones."""
    try:
        capability = Capability[pipeline.replace("-", "_").upper()]
    except KeyError:
        return None
    return capability if capability in _AI else None


def pipeline_of_capability(capability: int) -> str | None:
    """The pipeline's name of an AI capability (`text-to-image`), None for other ids."""
    return Capability(capability).name.replace("_", "-").lower() if capability in _AI else None


def needs_of(job: TranscodeJob, stated: Capabilities | None) -> Capabilities:
    """What a job needs: as its gateway said, else as its profiles show."""
    if stated is not None and stated.words:
        return stated
    return required_for(job.profiles, clip=job.clip_from_ms is not None or job.clip_to_ms is not None)


def required_for(profiles: Iterable[Profile], *, clip: bool = False) -> Capabilities:
    """What a transcoding job of an H.264 source needs, as a gateway would write it."""
    ids: set[Capability] = {Capability.AUTH_TOKEN, Capability.H264}
    if clip:
        ids.add(Capability.SEGMENT_SLICING)
    for profile in profiles:
        ids.add(_CONTAINERS[profile.container])
        ids.add(_ENCODERS[profile.codec])
        if profile.fps_den > 1:
            ids.add(Capability.FRACTIONAL_FRAMERATES)
        if profile.gop_ms:
            ids.add(Capability.GOP)
        if profile.h264_profile in _H264_PROFILES:
            ids.add(_H264_PROFILES[profile.h264_profile])
    return Capabilities.of(ids)


_CONTAINERS = {Container.MPEGTS: Capability.MPEGTS, Container.MP4: Capability.MP4}
_ENCODERS = {
    VideoCodec.H264: Capability.H264,
    VideoCodec.H265: Capability.HEVC_ENCODE,
    VideoCodec.VP8: Capability.VP8_ENCODE,
    VideoCodec.VP9: Capability.VP9_ENCODE,
}
_H264_PROFILES = {
    H264Profile.BASELINE: Capability.PROFILE_H264_BASELINE,
    H264Profile.MAIN: Capability.PROFILE_H264_MAIN,
    H264Profile.HIGH: Capability.PROFILE_H264_HIGH,
    H264Profile.CONSTRAINED_HIGH: Capability.PROFILE_H264_CONSTRAINED_HIGH,
}


def _is_subset(part: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Word by word; a longer bit string is never a subset, even where its extra words are zero."""
    return len(part) <= len(whole) and all(a & b == a for a, b in zip(part, whole, strict=False))


def _parse_version(text: str) -> tuple[int, int, int] | None:
    match = _SEMVER.match(text)
    return (int(match[1]), int(match[2] or 0), int(match[3] or 0)) if match else None
