"""Transcoding."""

from livefleet.media.models import (
    Container,
    H264Profile,
    Profile,
    Rendition,
    TranscodeError,
    TranscodeJob,
    Transcoder,
    TranscodeResult,
    VideoCodec,
)

__all__ = [
    "Container",
    "H264Profile",
    "Profile",
    "Rendition",
    "TranscodeError",
    "TranscodeJob",
    "TranscodeResult",
    "Transcoder",
    "VideoCodec",
]
