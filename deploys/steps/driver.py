"""The NVIDIA driver: facts in, commands out.

Package names and the flavour rule: NVIDIA's driver installation guide and open-kernel-modules list; Ubuntu's `-server`
branches. PCI device ids grow with the architecture, so two borders tell the families apart before any driver is there.
"""

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from livefleet.spec import DriverSettings

__all__ = ["driver", "flavour_of", "packages_of"]

FIRST_TURING = 0x1E00  # from here on the open kernel modules work
FIRST_BLACKWELL = 0x2900  # from here on only the open ones do, and no branch before 570
LAST_BRANCH_BEFORE_TURING = 580
FIRST_BRANCH_BLACKWELL = 570

_KEYRING = "cuda-keyring_1.1-1_all.deb"
_PIN = "/etc/apt/preferences.d/livefleet-nvidia"
_PINNED = "Package: nvidia-* libnvidia-* cuda-drivers*"
_BLACKLIST = "/etc/modprobe.d/livefleet-nouveau.conf"
_APT = "apt-get -q -y -o DPkg::Lock::Timeout=180 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"


_REFUSE_RUNFILE = (
    "if command -v nvidia-uninstall >/dev/null; then"
    " echo 'a driver from a .run file is here; run nvidia-uninstall and apply again' >&2; exit 1; fi"
)
_LOAD_MODULE = (
    "modprobe nvidia && modprobe nvidia-uvm || { echo"
    " 'the driver is installed, but its module does not load before a reboot; reboot the host and apply again' >&2;"
    " exit 1; }"
)


def driver(settings: DriverSettings, facts: Observed) -> Outcome:
    """Install, leave alone, or say why the wish is impossible, before the host is touched."""
    if not facts.nvidia_pci:
        return Outcome(notes=("skipped: no NVIDIA device on the PCI bus",))
    if not settings.install:
        return Outcome(notes=("skipped: `driver: {install: false}`",))
    if facts.nvidia_loaded and not _older(facts.nvidia_loaded, settings.min_version):
        return Outcome(notes=(f"skipped: driver {facts.nvidia_loaded} is loaded",))
    if facts.uid != 0:
        return refuse("installing the NVIDIA driver needs root; set `ssh: {sudo: true}` or `driver: {install: false}`")
    impossible = _impossible(settings, facts)
    if impossible:
        return refuse(impossible)
    flavour = flavour_of(settings, facts.nvidia_pci)
    names = packages_of(facts.os_id, settings.branch, flavour)
    count = len(facts.nvidia_pci)
    return Outcome(
        commands=(sh(_install_lines(facts, settings.branch, names), timeout_s=1800),),
        notes=(f"install driver branch {settings.branch}, {flavour} modules, for {count} NVIDIA device(s)",),
    )


def flavour_of(settings: DriverSettings, devices: tuple[int, ...]) -> str:
    """`open` or `proprietary`; a host has one flavour for all its devices."""
    if settings.flavour != "auto":
        return settings.flavour
    return "open" if min(devices) >= FIRST_TURING else "proprietary"


def packages_of(os_id: str, branch: int, flavour: str) -> tuple[str, ...]:
    """Driver, NVENC and NVDEC libraries (no headless set pulls those), persistence daemon."""
    if os_id == "ubuntu":
        suffix = "-open" if flavour == "open" else ""
        server = f"{branch}-server"
        return (
            f"nvidia-headless-{server}{suffix}",
            f"nvidia-utils-{server}",
            f"nvidia-compute-utils-{server}",
            f"libnvidia-encode-{server}",
            f"libnvidia-decode-{server}",
        )
    if flavour == "open":
        return (
            "nvidia-driver-cuda",
            "nvidia-kernel-open-dkms",
            "nvidia-persistenced",
            "libnvidia-encode1",
            "libnvcuvid1",
        )
    return (f"cuda-drivers-{branch}",)


def _impossible(settings: DriverSettings, facts: Observed) -> str | None:
    oldest, newest = min(facts.nvidia_pci), max(facts.nvidia_pci)
    flavour = flavour_of(settings, facts.nvidia_pci)
    if facts.os_id not in ("debian", "ubuntu"):
        system = facts.os_id or "this system"
        return f"no driver packages are known for {system}; install it and set `driver: {{install: false}}`"
    if oldest < FIRST_TURING and newest >= FIRST_BLACKWELL:
        return "devices before Turing and Blackwell ones cannot share a host: no kernel modules drive both"
    if oldest < FIRST_TURING and flavour == "open":
        return "the open kernel modules do not drive devices before Turing; use `driver: {flavour: proprietary}`"
    if oldest < FIRST_TURING and settings.branch > LAST_BRANCH_BEFORE_TURING:
        return f"branch {settings.branch} does not drive devices before Turing; use `driver: {{branch: 580}}`"
    if newest >= FIRST_BLACKWELL and flavour == "proprietary":
        return "Blackwell devices need the open kernel modules; use `driver: {flavour: open}`"
    if newest >= FIRST_BLACKWELL and settings.branch < FIRST_BRANCH_BLACKWELL:
        return f"branch {settings.branch} does not drive Blackwell devices; use `driver: {{branch: 580}}`"
    if facts.secure_boot:
        return (
            "secure boot is on: modules built here would be refused until their key is confirmed at the console;"
            " turn it off or install signed modules and set `driver: {install: false}`"
        )
    return None


def _install_lines(facts: Observed, branch: int, names: tuple[str, ...]) -> list[str]:
    metapackage = "linux-headers-generic" if facts.os_id == "ubuntu" else "linux-headers-amd64"
    if facts.machine == "aarch64" and facts.os_id == "debian":
        metapackage = "linux-headers-arm64"
    return [
        "export DEBIAN_FRONTEND=noninteractive",
        _REFUSE_RUNFILE,
        "dpkg --configure -a",
        *(_nvidia_repository(facts) if facts.os_id == "debian" else ()),
        f"printf '%s\\n' '{_PINNED}' 'Pin: version {branch}.*' 'Pin-Priority: 1001' > {_PIN}",
        f"printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' > {_BLACKLIST}",
        f"{_APT} update",
        f"{_APT} install --no-install-recommends linux-headers-{facts.kernel} {metapackage} dkms build-essential",
        f"{_APT} install --no-install-recommends {' '.join(names)}",
        "update-initramfs -u",
        f"apt-mark hold {' '.join(names)}",
        _LOAD_MODULE,
        "systemctl enable --now nvidia-persistenced.service || true",
    ]


def _nvidia_repository(facts: Observed) -> list[str]:
    arch = "sbsa" if facts.machine == "aarch64" else "x86_64"
    distribution = f"{facts.os_id}{facts.os_version.split('.')[0]}"
    url = f"https://developer.download.nvidia.com/compute/cuda/repos/{distribution}/{arch}/{_KEYRING}"
    fetch = f"import urllib.request; urllib.request.urlretrieve('{url}', '/tmp/{_KEYRING}')"
    return [
        f'dpkg -s cuda-keyring >/dev/null 2>&1 || {{ python3 -c "{fetch}" && dpkg -i /tmp/{_KEYRING}; }}',
    ]


def _older(version: str, minimum: str | None) -> bool:
    if minimum is None:
        return False
    return _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
