"""PyTorch's builds: which cards each has code for, and which drivers run it."""

from dataclasses import dataclass
from typing import Final

from deploys.drivers.families import Family, at_least
from livefleet.spec import GpuFamily

__all__ = ["BUILDS", "CPU", "TORCH", "TorchBuild"]

TORCH: Final = "2.13"
"""The release that the table is about; a test holds it equal to the lock's."""


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """One build: PyTorch's own index of it is called as its label."""

    label: str  # local version of its wheels: `cu126`
    name: str  # for people
    driver: tuple[int, ...] = ()  # oldest driver that runs it; (): none is needed
    shipped_with: tuple[int, ...] = ()  # the driver that came with its CUDA; with an older one not all of it works
    machine: str = "x86_64"
    oldest: GpuFamily = "maxwell"  # cards that it has code for
    newest: GpuFamily = "blackwell"

    def drives(self, families: tuple[Family, ...]) -> bool:
        """Whether it has code for all of these."""
        return all(at_least(f.name, self.oldest) and at_least(self.newest, f.name) for f in families)


CPU: Final = TorchBuild("cpu", "no GPU")

# Sources. Architectures: PyTorch's RELEASE.md, "PyTorch CUDA support matrix" of release 2.12 (pull request 182849),
# kept for 2.13: 12.6, 13.0 and 13.2; CUDA 12.8 and 12.9 are gone since 2.12 (issues 178665, 187834). The matrix names
# Hopper for 12.6, and the script that builds it leaves Hopper out since 2.11 (.ci/manywheel/build_cuda.sh): not counted
# here. 12.6 goes with 2.15 (issue 190385). 13.2 has no card more than 13.0 and wants a newer driver. Cards of one major
# compute capability run each other's code upwards: 8.6 serves Ada's 8.9, arm64's 8.0 serves both.
# Drivers: NVIDIA's CUDA release notes, tables 2 and 3: minor version compatibility from 525.60 (12.x) and 580.65 (13.x)
# on; shipped with 12.6: 560.28, with 13.0: 580.65.
BUILDS: Final = (
    TorchBuild("cu130", "CUDA 13.0", (580,), (580,), oldest="turing"),
    TorchBuild("cu126", "CUDA 12.6", (525,), (560,), newest="ada"),
    TorchBuild("cu130", "CUDA 13.0", (580,), (580,), machine="aarch64", oldest="ampere"),
    TorchBuild("cu126", "CUDA 12.6", (525,), (560,), machine="aarch64", oldest="ampere", newest="ada"),
)
"""Newest first for each kind of machine."""
