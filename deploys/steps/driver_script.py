"""The shell text that changes a driver on its host: what is wanted, above the fixed part in files/driver.sh."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from deploys.drivers import TOOLKIT, kernel_flavour
from deploys.facts import Observed
from deploys.outcome import Shell, sh
from deploys.steps.driver_wish import Wish
from deploys.steps.files import HostFile, put_script
from livefleet.spec import DriverSettings, SessionPatch

__all__ = [
    "REBOOT",
    "WORK",
    "Service",
    "change_script",
    "driver_files",
    "patch_words",
    "run_script",
    "toolkit_words",
]

_FILES = Path(__file__).parent.parent / "files"
_SOURCES = "/etc/apt/sources.list.d/livefleet-nvidia.list"
_KEY = "/etc/apt/keyrings/livefleet-nvidia.gpg"
_PIN = "/etc/apt/preferences.d/livefleet-nvidia"
_UNATTENDED = "/etc/apt/apt.conf.d/52livefleet-nvidia"
_NOUVEAU = "/etc/modprobe.d/livefleet-nouveau.conf"
_LOAD = "/etc/modules-load.d/livefleet-nvidia.conf"
_PINNED = (
    "nvidia-* libnvidia-* cuda-drivers* libcuda1 libcudadebugger* libnvcuvid1 libnvoptix1 firmware-nvidia-*"
    " xserver-xorg-video-nvidia*"
)
_CHANGE_S, _CHECK_S = 3600, 1800

WORK = "/var/lib/livefleet-driver"
"""Root's own, whatever the node's root is: a host has one driver, and taking a node off it does not change that."""

REBOOT = f"{WORK}/reboot"
"""There while a reboot is due."""


@dataclass(frozen=True, slots=True)
class Service:
    """How the agent is kept off the cards meanwhile; all empty where there is none yet."""

    drain: str = ""
    drain_file: str = ""
    stop: str = ""
    start: str = ""


def driver_files(wish: Wish) -> dict[str, str]:
    """The files on the host that keep the driver what it is, by path."""
    pin = f"Package: {_PINNED}\nPin: version {wish.pattern}{'-*' if wish.version else ''}\nPin-Priority: 1001\n"
    unattended = (
        "// NVIDIA's driver changes when livefleet changes it: libraries and kernel module must be of one version.\n"
        'Unattended-Upgrade::Package-Blacklist { "nvidia-"; "libnvidia-"; "cuda-"; "libcuda1"; "libnvcuvid1";'
        ' "linux-modules-nvidia-"; };\n'
    )
    return {
        _PIN: pin,
        _UNATTENDED: unattended,
        _NOUVEAU: "blacklist nouveau\noptions nouveau modeset=0\n",
        _LOAD: "nvidia\nnvidia_uvm\n",
    }


def change_script(
    settings: DriverSettings,
    facts: Observed,
    wish: Wish,
    service: Service,
    *,
    begin_before: float = 0,
    reboot_allowed: bool = False,
) -> str:
    """What is wanted, as variables and functions that files/driver.sh uses."""
    headers = () if wish.signed else (f"linux-headers-{facts.kernel}", wish.distribution.headers)
    tools = () if wish.signed else (*headers, "dkms", "build-essential")
    flavour = kernel_flavour(facts.kernel)
    # With prebuilt modules a new kernel without its modules would be a host without a driver: both wait for each other.
    kernels = (f"linux-image-{flavour}", f"linux-headers-{flavour}", f"linux-{flavour}") if wish.signed else ()
    values = {
        "work": WORK,
        "wanted": wish.pattern,
        "packages": " ".join(wish.packages),
        "build_tools": " ".join(tools),
        "also_hold": " ".join(kernels),
        "devices": str(len(facts.nvidia_pci)),
        "nvswitch": str(int(facts.driver.nvswitch)),
        "way_back": str(int(settings.way_back)),
        "reboot_allowed": str(int(reboot_allowed)),
        "begin_before": str(int(begin_before)),
        "drain_file": service.drain_file,
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    lines += _functions(service)
    puts = [f"put {path} {shlex.quote(text)}" for path, text in driver_files(wish).items()]
    return "\n".join([*lines, *_function("sources", _sources(wish)), *_function("files", " &&\n  ".join(puts)), ""])


def run_script(script: str, *phases: str) -> Shell:
    """One round trip that puts the script on the host and runs its phases, one after the other.

    Where systemd is, they run apart from the connection: a cut network ends the waiting, and not the change.
    """
    fixed = "".join((_FILES / name).read_text() for name in ("driver.sh", "driver_files.sh", "driver_extras.sh"))
    # By number: systemd-run would read `$` and `%` in its arguments as its own.
    chosen = "\n".join(f"  {number}) {phase} ;;" for number, phase in enumerate(phases))
    text = f'{script}\n{fixed}\ncase "$1" in\n{chosen}\nesac\n'
    put, stdin = put_script([HostFile(f"{WORK}/change.sh", text.encode(), 0o700, None, secret=False)])
    lines = [
        *put,
        f"work={WORK}",
        *(['mv -f "$work/log" "$work/log.before" 2>/dev/null || :'] if "change" in phases else []),
        "run() {",
        "  if [ -d /run/systemd/system ]; then",
        "    if systemctl is-active --quiet livefleet-driver.service; then",
        "      echo 'a change of the driver is still under way on this host: apply again when it is done' >&2; exit 1",
        "    fi",
        (
            "    systemd-run --quiet --wait --collect --unit=livefleet-driver"
            ' -p StandardOutput=append:"$work/log" -p StandardError=append:"$work/log" sh "$work/change.sh" "$1"'
        ),
        '  else sh "$work/change.sh" "$1" </dev/null >>"$work/log" 2>&1; fi || {',
        '    tail -n 1 "$work/log" >&2; echo "all of it is in $work/log" >&2; exit 1; }',
        "}",
        *(f"run {number}" for number in range(len(phases))),
    ]
    return sh(lines, stdin=stdin, timeout_s=_CHANGE_S if "change" in phases else _CHECK_S)


def toolkit_words() -> str:
    """The phase that installs the container toolkit."""
    return shlex.join(["container_toolkit", TOOLKIT.url, TOOLKIT.key_url, TOOLKIT.fingerprint])


def patch_words(version: str, patch: SessionPatch) -> str:
    """The phase that changes the encoder's library as declared."""
    return shlex.join(["patch_sessions", version, patch.kind, patch.url, patch.sha256, patch.outcome, *patch.arguments])


def _sources(wish: Wish) -> str:
    if wish.repository is None:
        return ""
    trust = shlex.join(["trust", wish.repository.key_url, wish.repository.fingerprint, _KEY])
    take_over = shlex.join(["take_over", wish.repository.url, _SOURCES])
    line = f"deb [signed-by={_KEY}] {wish.repository.url} /\n"
    return f"{trust} &&\n  {take_over} &&\n  put {_SOURCES} {shlex.quote(line)}"


def _functions(service: Service) -> list[str]:
    bodies = {"drain_agent": service.drain, "stop_agent": service.stop, "start_agent": service.start}
    return [line for name, body in bodies.items() for line in _function(name, body)]


def _function(name: str, body: str) -> list[str]:
    return [f"{name}() {{", f"  {body or ':'}", "}"]
