"""Where each distribution's driver packages come from, and what they are called there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deploys.drivers.branches import BRANCHES

__all__ = [
    "DISTRIBUTIONS",
    "TOOLKIT",
    "Distribution",
    "Source",
    "TrustedRepository",
    "distribution_of",
    "kernel_flavour",
]

_NVIDIA: Final = "https://developer.download.nvidia.com/compute/cuda/repos"
_UNSUFFIXED_FROM: Final = 590  # from here on packages in NVIDIA's Ubuntu repositories have no branch in their name
_KEY_2022: Final = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
_KEY_2025: Final = ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200")


@dataclass(frozen=True, slots=True)
class TrustedRepository:
    """A flat apt repository and the one key that may sign it."""

    url: str
    key_url: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Source:
    """One place that packages of a driver come from. `packages`: names for branch and flavour."""

    name: str  # for people
    origin: str  # what apt calls it, `o=`
    repository: TrustedRepository | None  # None: the distribution's own, which hosts have
    branches: tuple[int, ...]
    packages: Callable[[int, str], tuple[str, ...]]
    exact_versions: bool  # keeps old versions, so that an exact one can be asked for
    prebuilt: Callable[[int, str, str], tuple[str, ...]] | None = None  # signed modules, for the kernel named last

    def fabric_manager(self, branch: int) -> str:
        """What hosts with NVSwitch need besides, of exactly the driver's version."""
        return "nvidia-fabricmanager" + (f"-{branch}" if branch < _UNSUFFIXED_FROM else "")


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution on one kind of machine."""

    os_id: str
    os_version: str
    machine: str
    headers: str  # metapackage, so that the next kernel gets its modules too
    sources: tuple[Source, ...]  # the first that has the wanted branch is used

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.os_id.capitalize()} {self.os_version} ({self.machine})"

    @property
    def branches(self) -> tuple[int, ...]:
        """All branches to be had, rising."""
        return tuple(sorted({branch for source in self.sources for branch in source.branches}))


def kernel_flavour(kernel: str) -> str:
    """`generic` of 6.8.0-49-generic, `cloud-amd64` of 6.1.0-27-cloud-amd64."""
    return "-".join(kernel.split("-")[2:]) or "generic"


def distribution_of(os_id: str, os_version: str, machine: str) -> Distribution | None:
    """The row for a host; None where no packages are known."""
    version = os_version.partition(".")[0] if os_id == "debian" else os_version
    return DISTRIBUTIONS.get((os_id, version, machine))


# NVIDIA driver installation guide, chapters Debian and Ubuntu, "compute-only": these names, without X.
def _nvidia_debian(_: int, flavour: str) -> tuple[str, ...]:
    modules = "nvidia-kernel-open-dkms" if flavour == "open" else "nvidia-kernel-dkms"
    return ("nvidia-driver-cuda", modules, "nvidia-persistenced", "libnvidia-encode1", "libnvcuvid1")


# The same guide: `libnvidia-compute-580 nvidia-dkms-580-open` up to 580, `libnvidia-compute nvidia-dkms-open` from 590
# on. The compute-only set brings neither the encoder's library nor nvidia-smi nor the persistence daemon.
def _nvidia_ubuntu(branch: int, flavour: str) -> tuple[str, ...]:
    suffix = f"-{branch}" if branch < _UNSUFFIXED_FROM else ""
    modules = f"nvidia-dkms{suffix}{'-open' if flavour == 'open' else ''}"
    names = ("libnvidia-compute", "libnvidia-encode", "libnvidia-decode", "nvidia-utils", "nvidia-compute-utils")
    return (modules, *(f"{name}{suffix}" for name in names))


# packages.ubuntu.com, section restricted: nvidia-graphics-drivers-580-server.
def _ubuntu_archive(branch: int, flavour: str) -> tuple[str, ...]:
    return (f"nvidia-headless-{branch}-server{'-open' if flavour == 'open' else ''}", *_ubuntu_libraries(branch))


# The same, with modules that Canonical built and signed: those of the running kernel, and by the metapackage of its
# flavour (`generic`, `aws`, ...) those of the kernels to come.
def _ubuntu_signed(branch: int, flavour: str, kernel: str) -> tuple[str, ...]:
    server = f"{branch}-server{'-open' if flavour == 'open' else ''}"
    modules = (f"linux-modules-nvidia-{server}-{which}" for which in (kernel_flavour(kernel), kernel))
    return (f"nvidia-headless-no-dkms-{server}", *modules, *_ubuntu_libraries(branch))


def _ubuntu_libraries(branch: int) -> tuple[str, ...]:
    names = ("nvidia-utils", "nvidia-compute-utils", "libnvidia-encode", "libnvidia-decode")
    return tuple(f"{name}-{branch}-server" for name in names)


def _nvidia(folder: str, key: tuple[str, str]) -> TrustedRepository:
    url = f"{_NVIDIA}/{folder}/"
    return TrustedRepository(url, f"{url}{key[0]}", key[1])


def _ubuntu(version: str, machine: str) -> Distribution:
    arch = "sbsa" if machine == "aarch64" else "x86_64"
    archive = Source(
        "Ubuntu's archive", "Ubuntu", None, (580,), _ubuntu_archive, exact_versions=False, prebuilt=_ubuntu_signed
    )
    repository = _nvidia(f"ubuntu{version.replace('.', '')}/{arch}", _KEY_2022)
    nvidia = Source("NVIDIA's repository", "NVIDIA", repository, tuple(BRANCHES), _nvidia_ubuntu, exact_versions=True)
    return Distribution("ubuntu", version, machine, "linux-headers-generic", (archive, nvidia))


def _debian(version: str, key: tuple[str, str], branches: tuple[int, ...]) -> Distribution:
    repository = _nvidia(f"debian{version}/x86_64", key)
    source = Source("NVIDIA's repository", "NVIDIA", repository, branches, _nvidia_debian, exact_versions=True)
    return Distribution("debian", version, "x86_64", "linux-headers-amd64", (source,))


# Keys: NVIDIA/cuda-repo-management, README: 3bf863cc signs all but Debian 13, whose apt refuses that key's SHA-1 since
# February 2026 (its issues 34 and 39); 8793f200 signs Debian 13. Branches: Debian 13's repository begins with 590,
# older ones were not put there (its issue 38, August 2026). Machines: it has no repository of Debian for arm64 (issue
# 39). Ubuntu's archive: 535-server, 565-server and 570-server turned into 580-server, so only 580 is asked for there.
DISTRIBUTIONS: Final[dict[tuple[str, str, str], Distribution]] = {
    (d.os_id, d.os_version, d.machine): d
    for d in (
        _ubuntu("22.04", "x86_64"),
        _ubuntu("22.04", "aarch64"),
        _ubuntu("24.04", "x86_64"),
        _ubuntu("24.04", "aarch64"),
        _debian("12", _KEY_2022, tuple(BRANCHES)),
        _debian("13", _KEY_2025, tuple(number for number in BRANCHES if number >= _UNSUFFIXED_FROM)),
    )
}

# Source: NVIDIA container toolkit, installation guide, "With apt"; one repository for all distributions.
TOOLKIT: Final = TrustedRepository(
    "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)/",
    "https://nvidia.github.io/libnvidia-container/gpgkey",
    "C95B321B61E88C1809C4F759DDCAE044F796ECB0",
)
