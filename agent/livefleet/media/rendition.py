"""From a wanted profile and a source's shape to exact output size and encoder settings. Pure.

Source: lpms `ffmpeg.go` (clamping, scaling, rate control, GOP), restated in this room's README.
"""

from dataclasses import dataclass
from fractions import Fraction

from livefleet.media.device import DeviceKind
from livefleet.media.models import H264Profile, Profile, TranscodeError, TranscodeJob, VideoCodec

__all__ = ["EncodePlan", "check_job", "encoder_name", "output_size", "plan"]

MAX_OUTPUTS = 10
MAX_DURATION_MS = 300_000
INTRA_ONLY = -1
_FALLBACK_RATE = Fraction(30)

_LIMITS: dict[VideoCodec, tuple[int, int, int, int]] = {
    # least width, least height, greatest width, greatest height; the software encoders obey NVENC's limits too
    VideoCodec.H264: (146, 50, 4096, 4096),
    VideoCodec.H265: (132, 40, 8192, 8192),
}

_ENCODERS: dict[tuple[DeviceKind, VideoCodec], str] = {
    (DeviceKind.CPU, VideoCodec.H264): "libx264",
    (DeviceKind.CPU, VideoCodec.H265): "libx265",
    (DeviceKind.NVIDIA, VideoCodec.H264): "h264_nvenc",
    (DeviceKind.NVIDIA, VideoCodec.H265): "hevc_nvenc",
}


@dataclass(frozen=True, slots=True)
class EncodePlan:
    """Everything an encoder is opened with."""

    encoder: str
    width: int
    height: int
    options: dict[str, str]
    frame_rate: Fraction  # what the encoder's rate control assumes
    fps: Fraction | None  # constant rate to convert to; None keeps the source's timing
    key_interval: Fraction | None  # seconds between forced key frames; None leaves it to the encoder


def check_job(job: TranscodeJob) -> None:
    """Refuse what no device could do. Raises TranscodeError with the protocol's text."""
    if job.duration_ms > MAX_DURATION_MS:
        raise TranscodeError("TranscoderInvalidDuration", detail=f"{job.duration_ms} ms is over {MAX_DURATION_MS}")
    if len(job.profiles) > MAX_OUTPUTS:
        raise TranscodeError("Too many outputs", detail=f"{len(job.profiles)} profiles, at most {MAX_OUTPUTS}")
    if not job.profiles:
        raise TranscodeError("TranscoderUnrecognizedProfile", detail="a job without profiles")
    for profile in job.profiles:
        if profile.width <= 0 or profile.height <= 0:
            raise TranscodeError("TranscoderInvalidResolution", detail=f"{profile.width}x{profile.height}")
        if profile.gop_ms < INTRA_ONLY:
            raise TranscodeError("TranscoderInvalidGOP", detail=f"{profile.gop_ms} ms")
        if profile.bitrate <= 0 or profile.fps < 0 or profile.fps_den < 0 or profile.quality < 0:
            raise TranscodeError("Invalid argument", detail=f"profile {profile.name}: a number is out of range")
        if (DeviceKind.CPU, profile.codec) not in _ENCODERS:
            raise TranscodeError("Encoder not found", detail=f"{profile.codec.value} is not encoded here")
    _check_clip(job)


def _check_clip(job: TranscodeJob) -> None:
    start, end = job.clip_from_ms, job.clip_to_ms
    if start is None and end is None:
        return
    if end is None or (start or 0) < 0 or end <= (start or 0):
        raise TranscodeError("TranscoderInvalidClipConfig", detail=f"from {start} ms to {end} ms")


def encoder_name(kind: DeviceKind, codec: VideoCodec) -> str:
    """FFmpeg's name of the encoder that a device uses for a codec. Raises TranscodeError when there is none."""
    try:
        return _ENCODERS[kind, codec]
    except KeyError:
        raise TranscodeError("Encoder not found", detail=f"{codec.value} on {kind.value}") from None


def output_size(profile: Profile, source_width: int, source_height: int) -> tuple[int, int]:
    """Width and height really encoded for a source of that size.

    The profile is a bounding size: its larger side goes to the source's larger side and the other follows the source's
    aspect ratio, so that portrait stays portrait. Both sides are even and within the codec's limits.
    """
    least_w, least_h, most_w, most_h = _LIMITS[profile.codec]
    long_side = max(_clamp(profile.width, least_w, most_w), _clamp(profile.height, least_h, most_h))
    landscape = source_width >= source_height
    least_short, most_long = (least_h, most_w) if landscape else (least_w, most_h)
    source_long, source_short = max(source_width, source_height), min(source_width, source_height)
    long_out = _even_ratio(long_side, 1, 1)
    short_out = _even_ratio(long_side, source_short, source_long)
    if short_out < least_short:
        short_out = least_short
        long_out = min(_even_ratio(least_short, source_long, source_short), most_long)
    return (long_out, short_out) if landscape else (short_out, long_out)


def plan(
    profile: Profile, kind: DeviceKind, source_width: int, source_height: int, source_rate: Fraction | None
) -> EncodePlan:
    """How to encode one profile of a source on a device."""
    encoder = encoder_name(kind, profile.codec)
    width, height = output_size(profile, source_width, source_height)
    fps = Fraction(profile.fps, profile.fps_den or 1) if profile.fps else None
    options = {"preset": "medium", "forced-idr": "1", **_rate_options(profile, kind), **_shape_options(profile, kind)}
    key_interval: Fraction | None = None
    if profile.gop_ms == INTRA_ONLY:
        options |= {"g": "1", "bf": "0"}
    elif profile.gop_ms and profile.fps:
        options["g"] = str(max(1, profile.gop_ms * profile.fps // 1000))  # the numerator alone counts, as in lpms
    elif profile.gop_ms:
        key_interval = Fraction(profile.gop_ms, 1000)
    return EncodePlan(
        encoder=encoder,
        width=width,
        height=height,
        options=options,
        frame_rate=fps or source_rate or _FALLBACK_RATE,
        fps=fps,
        key_interval=key_interval,
    )


def _rate_options(profile: Profile, kind: DeviceKind) -> dict[str, str]:
    bitrate = str(profile.bitrate)
    if not profile.quality:
        return {"b": bitrate, "minrate": bitrate, "maxrate": bitrate, "bufsize": bitrate}
    ceiling = {"maxrate": bitrate, "bufsize": bitrate}
    if kind is DeviceKind.NVIDIA:
        return {"rc": "vbr", "b": "0", "cq": str(min(profile.quality + 7, 51)), **ceiling}
    return {"crf": str(min(profile.quality, 63)), **ceiling}


def _shape_options(profile: Profile, kind: DeviceKind) -> dict[str, str]:
    if profile.codec is VideoCodec.H265:
        if kind is DeviceKind.NVIDIA:
            return {"tier": "high", "bf": "0"}
        return {"bf": "3", "x265-params": "log-level=error:pools=none:frame-threads=1"}
    match profile.h264_profile:
        case H264Profile.BASELINE:
            return {"profile": "baseline", "bf": "0"}
        case H264Profile.CONSTRAINED_HIGH:
            return {"profile": "high", "bf": "0"}
        case H264Profile.MAIN | H264Profile.HIGH as named:
            passthrough_on_gpu = kind is DeviceKind.NVIDIA and not profile.fps
            return {"profile": named.value, "bf": "0" if passthrough_on_gpu else "3"}
        case H264Profile.DEFAULT:
            return {"bf": "0" if kind is DeviceKind.NVIDIA else "3"}


def _clamp(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))


def _even_ratio(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator / denominator` to the nearest even number, halves up (the scale filter's `-2`)."""
    return 2 * ((value * numerator + denominator) // (2 * denominator))
