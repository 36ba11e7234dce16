"""Renditions to ask for, by their standard names or spelled out."""

import re

from livefleet.kernel import BadInput
from livefleet.media.models import Profile

__all__ = ["STANDARD", "parse_profile"]


def _standard(name: str, width: int, height: int, kbit: int, fps: int) -> Profile:
    return Profile(name=name, width=width, height=height, bitrate=kbit * 1000, fps=fps)


STANDARD = {
    profile.name: profile
    for profile in (
        _standard("P720p60fps16x9", 1280, 720, 6000, 60),
        _standard("P720p30fps16x9", 1280, 720, 4000, 30),
        _standard("P720p25fps16x9", 1280, 720, 3500, 25),
        _standard("P720p30fps4x3", 960, 720, 3500, 30),
        _standard("P576p30fps16x9", 1024, 576, 1500, 30),
        _standard("P576p25fps16x9", 1024, 576, 1500, 25),
        _standard("P360p30fps16x9", 640, 360, 1200, 30),
        _standard("P360p25fps16x9", 640, 360, 1000, 25),
        _standard("P360p30fps4x3", 480, 360, 1000, 30),
        _standard("P240p30fps16x9", 426, 240, 600, 30),
        _standard("P240p25fps16x9", 426, 240, 600, 25),
        _standard("P240p30fps4x3", 320, 240, 600, 30),
        _standard("P144p30fps16x9", 256, 144, 400, 30),
        _standard("P144p25fps16x9", 256, 144, 400, 25),
    )
}

_SPELLED = re.compile(r"^(\d+)x(\d+)(?:@(\d+))?:(\d+)k$")


def parse_profile(text: str) -> Profile:
    """A standard name, or `WIDTHxHEIGHT[@FPS]:BITRATEk` such as `640x360@30:800k`."""
    if text in STANDARD:
        return STANDARD[text]
    match = _SPELLED.match(text)
    if match is None:
        raise BadInput(f"{text!r} is no rendition; write 640x360@30:800k or one of {', '.join(STANDARD)}")
    width, height, fps, kbit = match.groups()
    return Profile(
        name=f"custom_{width}x{height}_{kbit}k",
        width=int(width),
        height=int(height),
        bitrate=int(kbit) * 1000,
        fps=int(fps or 0),
    )
