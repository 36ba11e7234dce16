"""Small packages under the names that NVIDIA's repository for Debian 12 has, in a signed repository of their own.

They carry what a deploy can see of a driver: a module that modinfo reads, NVML, a persistence daemon. The machine's
half (a card on the PCI bus, `modprobe` that loads such a module) is `MACHINE`, put on a host by hand.
"""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import repository
from tests.lab.shell import run

KERNEL = platform.release()
NVML = Path(__file__).parents[2] / "nvml/stub.c"
STATE = "/run/stand-in/nvml"
BLIND = "/etc/stand-in-blind"  # a version that does not see the card

# What a card and a kernel do. The module is loaded where /sys/module/nvidia is; a file `busy` keeps it from being
# removed.
MODPROBE = """#!/bin/sh
case "$*" in
  -r*)
    if [ -e /run/stand-in/busy ]; then echo "modprobe: FATAL: Module nvidia is in use." >&2; exit 1; fi
    rm -rf /sys/module/nvidia /sys/module/nvidia_uvm ;;
  nvidia)
    version=$(modinfo -F version nvidia 2>/dev/null)
    if [ -z "$version" ]; then echo "modprobe: FATAL: Module nvidia not found" >&2; exit 1; fi
    [ -d /sys/module/nvidia ] || { mkdir /sys/module/nvidia; echo "$version" > /sys/module/nvidia/version; } ;;
  nvidia-uvm) mkdir -p /sys/module/nvidia_uvm ;;
  *) exec /sbin/modprobe "$@" ;;
esac
/usr/local/sbin/stand-in-nvml
"""
ANSWER = f"""#!/bin/sh
loaded=$(cat /sys/module/nvidia/version 2>/dev/null)
library=$(cat /usr/share/stand-in/library 2>/dev/null)
init=0
if [ -z "$loaded" ]; then init=9; elif [ "$loaded" != "$library" ]; then init=18; fi
count=1
if [ "$library" = "$(cat {BLIND} 2>/dev/null)" ]; then count=0; fi
printf 'init %s\\ndriver %s\\ncount %s\\n' "$init" "$library" "$count" > {STATE}
"""
PLUG_IN = """#!/bin/sh
mkdir -p /run/stand-in
mount -t tmpfs tmpfs /sys/bus/pci/devices
mount -t tmpfs tmpfs /sys/module
card=/sys/bus/pci/devices/0000:01:00.0
mkdir -p $card
echo 0x10de > $card/vendor; echo 0x030000 > $card/class; echo 0x2684 > $card/device
modprobe nvidia; modprobe nvidia-uvm
exit 0
"""
UNIT = """[Unit]
DefaultDependencies=no
Before=livefleet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/stand-in-card
[Install]
WantedBy=multi-user.target
"""
MACHINE: Mapping[str, tuple[str, int]] = {
    "/usr/local/sbin/modprobe": (MODPROBE, 0o755),
    "/usr/local/sbin/stand-in-nvml": (ANSWER, 0o755),
    "/usr/local/sbin/stand-in-card": (PLUG_IN, 0o755),
    "/etc/systemd/system/stand-in-card.service": (UNIT, 0o644),
}

_MODULE_FOLDER = f"/lib/modules/{KERNEL}/updates/dkms"
_BUILD = f"""set -e
mkdir -p {_MODULE_FOLDER}
cp /usr/share/stand-in/nvidia.ko {_MODULE_FOLDER}/nvidia.ko
depmod {KERNEL} 2>/dev/null || depmod
"""
_REMOVED = f'[ "$1" != remove ] || rm -f {_MODULE_FOLDER}/nvidia.ko\n'
_DAEMON = """[Service]
ExecStart=/bin/sleep infinity --no-persistence-mode
[Install]
WantedBy=multi-user.target
"""


@dataclass
class Package:
    """One package: files by path on the host, and scripts."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    files: dict[str, str | Path] = field(default_factory=dict)
    postinst: str = ""
    postrm: str = ""


class Shop:
    """Builds packages and keeps the repository that holds them, signed by a key of its own."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        self._scratch = scratch
        self._folder = folder
        self._home = scratch / "gnupg"
        self._home.mkdir(parents=True, mode=0o700)
        folder.mkdir(parents=True, exist_ok=True)
        self._gpg("--quick-generate-key", "stand-in (test-only)", "ed25519", "sign", "never")
        listed = self._gpg("--list-keys", "--with-colons")
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        (folder / "3bf863cc.pub").write_text(self._gpg("--armor", "--export", self.fingerprint))
        self._library = self._compile_nvml()

    def driver(self, version: str, *, postinst: str = _BUILD, leave_out: tuple[str, ...] = ()) -> None:
        """Add a driver: the five packages that are asked for, and those that these depend on."""
        same = f"{version}-1"
        packages = [
            Package("nvidia-driver-cuda", same, (f"libcuda1 (= {same})", f"libnvidia-ml1 (= {same})")),
            Package("libcuda1", same),
            Package(
                "libnvidia-ml1",
                same,
                files={
                    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": self._library,
                    "/usr/share/stand-in/library": version,
                },
                postinst="ldconfig; /usr/local/sbin/stand-in-nvml\n",
            ),
            Package(
                "nvidia-kernel-open-dkms",
                same,
                files={"/usr/share/stand-in/nvidia.ko": self.module(version)},
                postinst=postinst,
                postrm=_REMOVED,
            ),
            Package("nvidia-persistenced", same, files={"/lib/systemd/system/nvidia-persistenced.service": _DAEMON}),
            Package("libnvcuvid1", same),
            Package(
                "libnvidia-encode1",
                same,
                files={
                    f"/usr/lib/x86_64-linux-gnu/libnvidia-encode.so.{version}": self._encoder(version),
                    "/etc/ld.so.conf.d/stand-in.conf": "/usr/lib/x86_64-linux-gnu\n",
                },
                postinst="ldconfig\n",
            ),
        ]
        for package in packages:
            if package.name not in leave_out:
                self.add(package)

    def build_tools(self) -> None:
        """What modules are built with, by name only."""
        for name in (f"linux-headers-{KERNEL}", "linux-headers-amd64", "dkms", "build-essential"):
            self.add(Package(name, "1"))

    def add(self, package: Package) -> None:
        root = self._scratch / "build" / f"{package.name}_{package.version}"
        files = {f"/usr/share/doc/{package.name}/copyright": "test-only\n", **package.files}
        for path, content in files.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read_bytes() if isinstance(content, Path) else content.encode())
        control = root / "DEBIAN"
        control.mkdir(parents=True)
        depends = f"Depends: {', '.join(package.depends)}\n" if package.depends else ""
        (control / "control").write_text(
            f"Package: {package.name}\nVersion: {package.version}\nArchitecture: amd64\nMaintainer: test\n"
            f"{depends}Description: stand-in\n"
        )
        for name, script in (("postinst", package.postinst), ("postrm", package.postrm)):
            if script:
                (control / name).write_text(f"#!/bin/sh\n{script}")
                (control / name).chmod(0o755)
        out = self._folder / f"{package.name}_{package.version}_amd64.deb"
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(out)])

    def remove(self, version: str) -> None:
        """Take a driver out of the repository."""
        for deb in self._folder.glob(f"*_{version}-1_*.deb"):
            deb.unlink()

    def publish(self) -> None:
        """Write the index and sign it."""
        repository.index(self._folder)
        release = (self._folder / "Release").read_text()
        (self._folder / "Release").write_text(f"{release.replace('livefleet lab', 'NVIDIA')}")
        self._gpg("--yes", "--clearsign", "--output", str(self._folder / "InRelease"), str(self._folder / "Release"))

    def _gpg(self, *arguments: str) -> str:
        base = [
            "gpg",
            "--homedir",
            str(self._home),
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]
        return subprocess.run([*base, *arguments], check=True, capture_output=True, text=True, timeout=60).stdout

    def close(self) -> None:
        """End the agent that gpg started for this key."""
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False, timeout=30)

    def _compile_nvml(self) -> Path:
        source, out = self._scratch / "nvml.c", self._scratch / "libnvidia-ml.so.1"
        source.write_text(f'#include <stdlib.h>\n#define getenv(name) "{STATE}"\n#include "{NVML}"\n')
        run(["gcc", "-shared", "-fPIC", "-O1", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(out), str(source)])
        return out

    def _encoder(self, version: str) -> Path:
        source, out = self._scratch / "encode.c", self._scratch / f"libnvidia-encode.so.{version}"
        source.write_text(f'const char *encoder_version = "{version}";\n')
        run(["gcc", "-shared", "-fPIC", "-Wl,-soname,libnvidia-encode.so.1", "-o", str(out), str(source)])
        return out

    def module(self, version: str) -> Path:
        source, out = self._scratch / "module.c", self._scratch / f"nvidia-{version}.ko"
        text = f'static const char information[] __attribute__((section(".modinfo"), used)) = "version={version}";\n'
        source.write_text(text)
        run(["gcc", "-c", "-o", str(out), str(source)])
        return out
