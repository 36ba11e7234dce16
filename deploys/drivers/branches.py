"""Driver branches, and what the agent's own libraries want of them."""

from dataclasses import dataclass
from typing import Final

from livefleet.spec import GpuFamily

__all__ = ["BRANCHES", "DEFAULT_BRANCH", "Branch", "Runtime", "numbers", "runtime_of"]

DEFAULT_BRANCH: Final = 580


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of NVIDIA's driver for Linux."""

    number: int
    kind: str  # `long-term`, `production`, `new features`, `legacy`
    supported_until: str  # month, or `ended`
    cuda: tuple[int, int]  # newest CUDA that it runs
    oldest: GpuFamily
    open_only: bool = False  # no proprietary kernel modules any more


# Sources: NVIDIA, "Supported drivers and CUDA toolkit versions" and "CUDA toolkit, driver and architecture matrix"
# (docs.nvidia.com/datacenter/tesla/drivers): kinds, ends, 580 as the last for Maxwell to Volta. CUDA release notes,
# table of driver versions: the newest CUDA of each. Driver installation guide, release 620: open modules alone are
# described.
BRANCHES: Final[dict[int, Branch]] = {
    branch.number: branch
    for branch in (
        Branch(535, "long-term", "ended", (12, 2), "maxwell"),
        Branch(550, "production", "ended", (12, 4), "maxwell"),
        Branch(565, "new features", "ended", (12, 7), "maxwell"),
        Branch(570, "production", "ended", (12, 8), "maxwell"),
        Branch(575, "new features", "ended", (12, 9), "maxwell"),
        Branch(580, "long-term", "June 2028", (13, 0), "maxwell"),
        Branch(590, "new features", "ended", (13, 1), "turing"),
        Branch(595, "production", "March 2027", (13, 2), "turing"),
        Branch(610, "new features", "ended", (13, 3), "turing"),
        Branch(615, "new features", "", (13, 3), "turing"),
        Branch(620, "long-term", "September 2029", (13, 3), "turing", open_only=True),
    )
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a library that the agent brings along wants of the driver."""

    name: str  # for people
    driver: tuple[int, ...]  # oldest driver version


# NVENC: PyAV 18's FFmpeg is built with Video Codec SDK 13, whose nvenc.c says "570.0 or newer"; NVDEC wants less.
_NVENC: Final = Runtime("NVENC by PyAV 18 (Video Codec SDK 13)", (570,))


def runtime_of(*, transcoding: bool) -> tuple[Runtime, ...]:
    """The libraries that a node's duties bring, PyTorch besides: its build is chosen by the driver (`torch_builds`)."""
    return (_NVENC,) if transcoding else ()


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparing."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
