"""What is known of NVIDIA's drivers, as data: cards, branches, distributions. Each table names its sources."""

from deploys.drivers.branches import BRANCHES, DEFAULT_BRANCH, Branch, Runtime, numbers, runtime_of
from deploys.drivers.distributions import (
    DISTRIBUTIONS,
    TOOLKIT,
    Distribution,
    Source,
    TrustedRepository,
    distribution_of,
    kernel_flavour,
)
from deploys.drivers.families import FAMILIES, Family, at_least, families_of, family_of
from deploys.drivers.torch_builds import BUILDS, CPU, TORCH, TorchBuild

__all__ = [
    "BRANCHES",
    "BUILDS",
    "CPU",
    "DEFAULT_BRANCH",
    "DISTRIBUTIONS",
    "FAMILIES",
    "TOOLKIT",
    "TORCH",
    "Branch",
    "Distribution",
    "Family",
    "Runtime",
    "Source",
    "TorchBuild",
    "TrustedRepository",
    "at_least",
    "distribution_of",
    "families_of",
    "family_of",
    "kernel_flavour",
    "numbers",
    "runtime_of",
]
