"""Try a device: open its encoders, transcode samples of every optional input. For worker processes only."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from livefleet.kernel import SessionId
from livefleet.media.capabilities import PERCEPTUAL_HASH
from livefleet.media.device import Device, DeviceKind
from livefleet.media.inspection import inspect
from livefleet.media.models import Profile, TranscodeError, TranscodeJob, VideoCodec, hash_path
from livefleet.media.probe import Probe
from livefleet.media.rendition import encoder_name
from livefleet.media.sample import make_clip
from livefleet.media.transcode import transcode_to_files
from livefleet.media.warm import Shelf

__all__ = ["opens", "probe_device", "proof_problem", "reuses_codecs", "session_limit", "shelf_for"]

_FRAMES = 6
_MOST_SESSIONS = 32  # consumer GPUs stop at 3 to 12, by driver; a job takes one a rendition
_CODECS = 2  # of a job with one rendition
_KEPT = 24  # idle codecs; those in the way of a driver's limit go before


@dataclass(frozen=True, slots=True)
class _Trial:
    """A sample that stands for one capability id."""

    id: int
    codec: str  # the encoder that makes the sample
    pix_fmt: str = "yuv420p"
    suffix: str = ".ts"
    to: VideoCodec = VideoCodec.H264
    with_hash: bool = False


_PLAIN = _Trial(0, "libx264")  # what every gateway asks for
_TRIALS = (
    _Trial(PERCEPTUAL_HASH, "libx264", with_hash=True),
    _Trial(15, "libx265"),
    _Trial(16, "libx264", to=VideoCodec.H265),
    _Trial(17, "libvpx", suffix=".webm"),
    _Trial(18, "libvpx-vp9", suffix=".webm"),
    _Trial(21, "libx264", "yuv444p"),
    _Trial(22, "libx264", "yuv422p"),
    _Trial(23, "libx264", "yuv444p10le"),
    _Trial(24, "libx264", "yuv422p10le"),
    _Trial(25, "libx264", "yuv420p10le"),
)


def opens(encoder: str) -> str:
    """Empty when the encoder opens, else why not. The only honest test: not every GPU with NVDEC has NVENC."""
    try:
        _open(encoder)
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        return f"{encoder}: {error}"
    return ""


def session_limit(open_one: Callable[[], object], most: int = _MOST_SESSIONS) -> int:
    """How many encoders can be open at once, found by trying; 0 when all of `most` open. `open_one` opens another."""
    held: list[object] = []
    while len(held) < most:
        try:
            held.append(open_one())
        except av.FFmpegError:
            return len(held)
    return 0


def _open(encoder: str) -> VideoCodecContext:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 256, 144, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.framerate = Fraction(30)
    context.thread_count = 1
    if encoder == "libx265":
        context.options = {"x265-params": "log-level=none:pools=none"}
    context.open(strict=True)
    return context


def probe_device(device: Device, folder: Path) -> Probe:
    """Try everything on `device`, with samples in `folder`."""
    problem = opens(device.encoder)
    if problem:
        return Probe(device.id, (), (), problem)
    is_limited = device.kind is DeviceKind.NVIDIA
    wanted = {encoder_name(device.kind, codec) for codec in (VideoCodec.H264, VideoCodec.H265)}
    encoders = tuple(sorted(name for name in wanted if not opens(name)))
    if problem := proof_problem(device, folder):
        return Probe(device.id, encoders, (), problem)
    return Probe(
        device_id=device.id,
        encoders=encoders,
        proven_ids=tuple(trial.id for trial in _TRIALS if _passes(trial, device, folder)),
        encoder_sessions=session_limit(lambda: _open(device.encoder)) if is_limited else 0,
    )


def proof_problem(device: Device, folder: Path) -> str:
    """Empty when the plainest sample comes through a real transcode, else what went wrong with it."""
    return _problem(_PLAIN, device, folder)


def shelf_for(device: Device, probe: Probe, folder: Path) -> Shelf[VideoCodecContext] | None:
    """Where the device's codecs wait for their session's next segment; None where they had better be opened anew.

    On a CPU that costs a millisecond, and x264 cannot be used again. Elsewhere it is tried: the same segment twice.
    """
    if device.kind is DeviceKind.CPU or probe.problem:
        return None
    shelf: Shelf[VideoCodecContext] = Shelf(_KEPT, time.monotonic)
    return shelf if reuses_codecs(device, shelf, folder) else None


def reuses_codecs(device: Device, shelf: Shelf[VideoCodecContext], folder: Path) -> bool:
    """Whether a kept decoder and encoder make of a second segment what fresh ones made of the first."""
    sample, output = folder / "trial.ts", folder / "trial-output"
    job = TranscodeJob(SessionId("probe"), 0, sample, 1000, (Profile("trial", 160, 96, 100_000),))
    try:
        make_clip(sample, _FRAMES / 30, width=160, height=96, audio=False)
        made = []
        for _ in range(2):
            transcode_to_files(job, [output], kind=device.kind, shelf=shelf)
            made.append((inspect(output), _key_frames(output)))
        return shelf.reused == _CODECS and made[0] == made[1] and made[0][0].frames == _FRAMES
    except (av.FFmpegError, TranscodeError, ValueError):
        return False
    finally:
        shelf.end(job.session)
        for file in (sample, output):
            file.unlink(missing_ok=True)


def _key_frames(file: Path) -> list[int]:
    """Which of the file's video packets are key frames."""
    with av.open(str(file)) as opened:
        packets = (packet for packet in opened.demux(video=0) if packet.size)
        return [number for number, packet in enumerate(packets) if packet.is_keyframe]


def _passes(trial: _Trial, device: Device, folder: Path) -> bool:
    return not _problem(trial, device, folder)


def _problem(trial: _Trial, device: Device, folder: Path) -> str:
    """Empty when the sample comes through."""
    sample, output = folder / f"trial-{trial.id}{trial.suffix}", folder / f"trial-{trial.id}-output"
    profile = Profile("trial", 160, 96, 100_000, codec=trial.to)
    try:
        make_clip(sample, _FRAMES / 30, width=160, height=96, audio=False, codec=trial.codec, pix_fmt=trial.pix_fmt)
        job = TranscodeJob(SessionId("probe"), 0, sample, 1000, (profile,), calc_perceptual_hash=trial.with_hash)
        transcode_to_files(job, [output], kind=device.kind)
        if (frames := inspect(output).frames) != _FRAMES:
            return f"{frames} of a sample's {_FRAMES} frames came through a transcode"
        return "" if hash_path(output).exists() == trial.with_hash else "a sample's perceptual hash was not made"
    except (av.FFmpegError, av.codec.codec.UnknownCodecError, TranscodeError, ValueError) as error:
        return f"a sample does not come through a transcode: {error}"
    finally:
        for file in (sample, output, hash_path(output)):
            file.unlink(missing_ok=True)
