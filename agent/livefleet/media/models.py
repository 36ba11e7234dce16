"""A transcoding job and its outcome, independent of who asked and where it runs."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from livefleet.kernel import LivefleetError, Pixels, SessionId

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
    "hash_path",
]


class Container(Enum):
    """Output container."""

    MPEGTS = "mpegts"
    MP4 = "mp4"


class H264Profile(Enum):
    """Encoder profile; DEFAULT leaves it to the encoder."""

    DEFAULT = "default"
    BASELINE = "baseline"
    MAIN = "main"
    HIGH = "high"
    CONSTRAINED_HIGH = "constrained-high"


class VideoCodec(Enum):
    """Output codec."""

    H264 = "h264"
    H265 = "h265"
    VP8 = "vp8"
    VP9 = "vp9"


@dataclass(frozen=True, slots=True)
class Profile:
    """What one rendition shall look like."""

    name: str
    width: int  # bounding size in pixels, see the scaling rules
    height: int
    bitrate: int  # bit/s: average, minimum, maximum and VBV size alike
    fps: int = 0  # frames per second numerator; 0 keeps the source's timing
    fps_den: int = 1
    gop_ms: int = 0  # key frame distance; 0 encoder default, -1 intra only
    container: Container = Container.MPEGTS
    h264_profile: H264Profile = H264Profile.DEFAULT
    codec: VideoCodec = VideoCodec.H264
    quality: int = 0  # 0 off, else CRF up to 63


@dataclass(frozen=True, slots=True)
class TranscodeJob:
    """One segment in, one rendition per profile out, in profile order."""

    session: SessionId
    sequence: int
    source: bytes | Path  # the segment's bytes, or a file that the caller keeps until the result is there
    duration_ms: int
    profiles: tuple[Profile, ...]
    orchestrator_id: str = "offchain"  # recipient address for the outputs' metadata
    clip_from_ms: int | None = None
    clip_to_ms: int | None = None
    source_url: str | None = None  # where a worker finds the source too; None: only here
    calc_perceptual_hash: bool = False  # a hash beside each rendition
    force_reinit: bool = False  # begin with fresh codecs, whatever is kept for the session


@dataclass(frozen=True, slots=True)
class Rendition:
    """One output."""

    data: bytes
    pixels: Pixels  # width x height x frames really encoded
    perceptual_hash: bytes | None = None  # MPEG-7 video signature, binary; None when not asked for, or not made


def hash_path(output: Path) -> Path:
    """Where the perceptual hash goes of a rendition that is written to `output`."""
    return output.with_name(f"{output.name}.phash")


@dataclass(frozen=True, slots=True)
class TranscodeResult:
    """All outputs of a segment, in the job's profile order."""

    renditions: tuple[Rendition, ...]
    decoded_pixels: Pixels


class TranscodeError(LivefleetError):
    """The segment could not be transcoded.

    `text` is what goes on the wire: for bad input one of the texts that gateways do not punish (`No keyframes in
    input`, `TranscoderInvalidVideo`, ...). `detail` is for our own log.
    """

    def __init__(self, text: str, *, detail: str = "") -> None:
        super().__init__(f"{text}: {detail}" if detail else text)
        self.text = text
        self.detail = detail


class Transcoder(Protocol):
    """Whoever can transcode: the local devices, or workers joined over the network."""

    async def transcode(self, job: TranscodeJob) -> TranscodeResult:
        """Do the job. Raises TranscodeError; cancellation gives the job up."""
        ...

    async def end_session(self, session: SessionId) -> None:
        """Let go of what is kept for a session. Unknown sessions are fine."""
        ...
