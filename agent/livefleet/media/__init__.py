"""Transcoding: one segment in, its renditions out, in processes of their own.

What is exported here loads no native code, so that the agent stays free of it. What decodes by itself is imported from
its module, by those who may: `media.inspection` (`inspect`), `media.segmenter` (`split`), `media.sample` (`make_clip`).
"""

from livefleet.media.capabilities import DEFAULT_IDS, SEGMENT_SLICING, capability_ids
from livefleet.media.device import CPU, Device, DeviceKind
from livefleet.media.errors import WorkerExited, WorkerLost
from livefleet.media.local import LocalTranscoder, segment_deadline_s
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
from livefleet.media.probe import Probe
from livefleet.media.rendition import output_size
from livefleet.media.supervisor import CONDITION as TRANSCODER_READY

__all__ = [
    "CPU",
    "DEFAULT_IDS",
    "SEGMENT_SLICING",
    "TRANSCODER_READY",
    "Container",
    "Device",
    "DeviceKind",
    "H264Profile",
    "LocalTranscoder",
    "Probe",
    "Profile",
    "Rendition",
    "TranscodeError",
    "TranscodeJob",
    "TranscodeResult",
    "Transcoder",
    "VideoCodec",
    "WorkerExited",
    "WorkerLost",
    "capability_ids",
    "output_size",
    "segment_deadline_s",
]
