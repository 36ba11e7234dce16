"""What an image has beside what a host gets by apply: a neutral system, and the units of its first boot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, assert_never

from deploys.image.bases import Base
from deploys.image.order import Resolved
from deploys.steps import UNIT_PATH, HostFile, render_unit
from livefleet.spec import ImageFormat
from livefleet.spec.enrol import FIRST_BOOT_FILE, FirstBootMode

__all__ = ["ENABLED", "HOSTNAME", "ROOT_LABEL", "image_files"]

HOSTNAME: Final = "livefleet"
ROOT_LABEL: Final = "livefleet-root"
_FILES: Final = Path(__file__).parent.parent / "files"
ENABLED: Final = (
    "livefleet-first-boot.service",
    "livefleet-host-keys.service",
    "ssh.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
)
"""Units that a booted image starts; others are enabled by what it becomes."""

# With machine-id `uninitialized` systemd enables at first boot whatever its presets do not name, and Debian's name
# nothing: the agent without a node.yaml, and nginx on the front door's port.
_PRESET: Final = (
    "".join(f"enable {unit}\n" for unit in ENABLED) + "enable getty@.service\nenable serial-getty@.service\n"
)
_NETWORK: Final = """\
# By kind, not by name or hardware address: an image does not know its machine.
[Match]
Type=ether
Kind=!*

[Network]
DHCP=yes
IPv6AcceptRA=yes

[DHCPv4]
# The machine's own id is made at first boot, so leases differ between hosts of one image.
ClientIdentifier=duid
"""
# A server has ports without a cable: one that is connected is enough.
_WAIT_ONLINE: Final = """\
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=60
"""
# A pool's worker is asked at its own screen, which gets its login prompt back afterwards. A container has none: there
# the answers come by a file.
_ASK: Final = """\
[Unit]
Before=getty@tty1.service

[Service]
ExecStart=
ExecStart=/bin/sh -c 'tty=/dev/tty1; [ -c $$tty ] || tty=/dev/null; \\
  exec /opt/livefleet/current/venv/bin/livefleet agent first-boot <$$tty'
"""


def image_files(resolved: Resolved) -> tuple[HostFile, ...]:
    """All of them, sorted by path. None holds a secret."""
    return tuple(sorted(_files(resolved), key=lambda file: file.path))


def _files(resolved: Resolved) -> Iterator[HostFile]:
    order = resolved.order
    unit = render_unit(resolved.node, gpu=resolved.node.gpus != "none")
    yield _text(UNIT_PATH, unit)
    if order.first_boot.mode is FirstBootMode.POOL_WORKER:
        yield _text("/etc/systemd/system/livefleet-first-boot.service.d/ask.conf", _ASK)
    for name in ("first-boot", "host-keys"):
        path = f"/etc/systemd/system/livefleet-{name}.service"
        yield _text(path, (_FILES / f"{name}.service").read_text())
    yield _text(f"/etc/livefleet/{FIRST_BOOT_FILE}", resolved.first_boot_text)
    yield _text("/usr/share/livefleet/profile.yaml", resolved.profile_text)
    yield _text("/etc/systemd/system-preset/00-livefleet.preset", f"{_PRESET}{_gpu_preset(resolved)}disable *\n")
    yield _text("/etc/systemd/network/80-livefleet-dhcp.network", _NETWORK)
    yield _text("/etc/systemd/system/systemd-networkd-wait-online.service.d/livefleet.conf", _WAIT_ONLINE)
    yield _text("/etc/hostname", f"{HOSTNAME}\n")
    yield _text("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {HOSTNAME}\n::1 localhost ip6-localhost ip6-loopback\n")
    yield _text("/etc/locale.conf", "LANG=C.UTF-8\n")
    if (fstab := _fstab(order.format)) is not None:
        yield _text("/etc/fstab", fstab)
    yield _text("/etc/apt/sources.list.d/debian.sources", _sources(order.base))
    yield _text("/etc/apt/sources.list", "# See sources.list.d/debian.sources\n")
    yield HostFile("/etc/machine-id", b"uninitialized\n", 0o444, None, secret=False)
    if order.authorized_keys:
        keys = "".join(f"{key}\n" for key in order.authorized_keys)
        yield HostFile("/root/.ssh/authorized_keys", keys.encode(), 0o600, None, secret=False)


def _text(path: str, text: str) -> HostFile:
    return HostFile(path, text.encode(), 0o644, None, secret=False)


def _gpu_preset(resolved: Resolved) -> str:
    return "enable nvidia-persistenced.service\n" if resolved.wish is not None else ""


def _fstab(image_format: ImageFormat) -> str | None:
    """None: a disk's names its partitions, whose identifiers come from all that is in the tree."""
    match image_format:
        case ImageFormat.ROOTFS_TAR:
            return "# Whoever unpacks this knows where it lies.\n"
        case ImageFormat.EXT4:
            return f"LABEL={ROOT_LABEL} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n"
        case ImageFormat.DISK:
            return None
        case _:
            assert_never(image_format)


def _sources(base: Base) -> str:
    """The distribution's own, whatever the image was made from: its security fixes have to reach the host."""
    places = [(source.uri, source.suite, source.components) for source in base.sources(None)]
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {components}\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for uri, suite, components in places
    )
