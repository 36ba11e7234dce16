"""What a gateway checks about a result before it shows it to viewers."""

from collections.abc import Sequence

from livefleet.chain import keccak256, verify
from livefleet.media import Profile
from livefleet.media.inspection import MediaInfo

__all__ = ["check_rendition", "result_is_signed"]

DURATION_TOLERANCE_S = 0.25


def result_is_signed(renditions: Sequence[bytes], signature: bytes, signer: bytes) -> bool:
    """Whether `signer` signed exactly these rendition bytes, in this order."""
    return verify(signer, keccak256(*(keccak256(data) for data in renditions)), signature)


def check_rendition(
    profile: Profile, info: MediaInfo, reported_pixels: int, *, source_duration_s: float, source_audio: bool
) -> list[str]:
    """Everything that is wrong with one decoded rendition; empty when it may be shown."""
    problems = []
    if info.frames == 0:
        problems.append(f"{profile.name}: no frame can be decoded")
    if info.pixels != reported_pixels:
        problems.append(f"{profile.name}: {reported_pixels} pixels reported, {info.pixels} decoded (PixelMismatch)")
    if info.width > max(profile.width, profile.height) or info.height > max(profile.width, profile.height):
        problems.append(f"{profile.name}: {info.width}x{info.height} does not fit {profile.width}x{profile.height}")
    if abs(info.duration_s - source_duration_s) > DURATION_TOLERANCE_S:
        problems.append(f"{profile.name}: lasts {info.duration_s:.2f} s, the source {source_duration_s:.2f} s")
    if source_audio and not info.has_audio:
        problems.append(f"{profile.name}: the sound is missing")
    return problems
