"""Transcoding: one segment in, its renditions out, in processes of their own.

What is exported here loads no native code, so that the agent stays free of it. What decodes by itself is imported from
its module, by those who may: `media.inspection` (`inspect`), `media.segmenter` (`split`), `media.sample` (`make_clip`).
"""

from livefleet.media.admission import Cost, DeviceLoad, MachineLoad, pixels_per_s
from livefleet.media.benchmark import (
    BENCHMARK_CURRENT,
    Benchmark,
    DeviceBenchmark,
    benchmark_condition,
    is_stale,
    load_benchmark,
    save_benchmark,
)
from livefleet.media.capabilities import DEFAULT_IDS, PERCEPTUAL_HASH, SEGMENT_SLICING, capability_ids
from livefleet.media.cores import usable_cores
from livefleet.media.device import CPU, Device, DeviceKind
from livefleet.media.device_lane import segment_deadline_s
from livefleet.media.errors import WorkerAbsent, WorkerExited, WorkerHung, WorkerLost
from livefleet.media.local import NO_LIMIT, LocalTranscoder
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
    hash_path,
)
from livefleet.media.probe import Probe
from livefleet.media.rendition import output_size
from livefleet.media.supervisor import CONDITION as TRANSCODER_READY

__all__ = [
    "BENCHMARK_CURRENT",
    "CPU",
    "DEFAULT_IDS",
    "NO_LIMIT",
    "PERCEPTUAL_HASH",
    "SEGMENT_SLICING",
    "TRANSCODER_READY",
    "Benchmark",
    "Container",
    "Cost",
    "Device",
    "DeviceBenchmark",
    "DeviceKind",
    "DeviceLoad",
    "H264Profile",
    "LocalTranscoder",
    "MachineLoad",
    "Probe",
    "Profile",
    "Rendition",
    "TranscodeError",
    "TranscodeJob",
    "TranscodeResult",
    "Transcoder",
    "VideoCodec",
    "WorkerAbsent",
    "WorkerExited",
    "WorkerHung",
    "WorkerLost",
    "benchmark_condition",
    "capability_ids",
    "hash_path",
    "is_stale",
    "load_benchmark",
    "output_size",
    "pixels_per_s",
    "save_benchmark",
    "segment_deadline_s",
    "usable_cores",
]
