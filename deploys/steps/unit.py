"""The systemd unit, and the supervisor's file for hosts without one."""

from pathlib import Path
from string import Template

from deploys.facts import Observed
from deploys.steps.files import HostFile
from deploys.steps.secret_place import credential_names, sealed_path
from livefleet.spec import NodeSpec, SecretPlace

__all__ = ["UNIT_PATH", "render_unit", "supervisor_file", "unit_file"]

UNIT_PATH = "/etc/systemd/system/livefleet.service"
LAST_PRIVILEGED_PORT = 1023
STOP_MARGIN_S = 15  # the agent drains for `stop_timeout_s`, then closes down
_OTHERS_MAY = 0o006
_FILES = Path(__file__).parent.parent / "files"
_JOURNAL_GROUP = "systemd-journal"
_GPU_DEVICES = ("char-nvidia", "char-nvidia-frontend", "char-nvidiactl", "char-nvidia-uvm", "char-nvidia-caps")


def render_unit(node: NodeSpec, *, gpu: bool, device_group: str = "") -> str:
    """The unit for this node.

    `gpu`: NVIDIA devices are on the host; `device_group`: the one that may use them, where not everybody may.
    """
    port = int(node.orchestrator.listen.rpartition(":")[2]) if node.orchestrator else LAST_PRIVILEGED_PORT + 1
    template = Template((_FILES / "livefleet.service").read_text())
    return template.substitute(
        role=node.role.value,
        name=node.name,
        stop_timeout=f"{node.service.stop_timeout_s + STOP_MARGIN_S:g}",
        conditions="".join(f"ConditionPathExists={path}\n" for path in _in_memory(node)),
        credentials="".join(f"LoadCredentialEncrypted={name}:{sealed_path(name)}\n" for name in credential_names(node)),
        preserve="yes" if node.service.secrets is SecretPlace.TMPFS else "no",
        groups=_groups(device_group, gpu=gpu),
        capabilities="CAP_NET_BIND_SERVICE" if port <= LAST_PRIVILEGED_PORT else "",
        devices="\n".join(f"DeviceAllow={name} rw" for name in _GPU_DEVICES)
        if gpu
        else "# No NVIDIA device on this host.",
        memlock="LimitMEMLOCK=infinity" if gpu else "# No NVIDIA device, no pinned memory.",
    )


def unit_file(node: NodeSpec, facts: Observed) -> HostFile:
    """The unit as a file of the host."""
    text = render_unit(node, gpu=bool(facts.nvidia_pci), device_group=_device_group(facts))
    return HostFile(UNIT_PATH, text.encode(), 0o644, None, secret=False)


def supervisor_file(opt: str) -> HostFile:
    """The supervisor as a file of the host."""
    return HostFile(f"{opt}/supervise.py", (_FILES / "supervise.py").read_bytes(), 0o755, None, secret=False)


def _in_memory(node: NodeSpec) -> list[str]:
    """Secrets without which a start has no sense: they are gone after a reboot, until the next apply."""
    if node.service.secrets is not SecretPlace.TMPFS:
        return []
    files = (*node.secrets.values(), *(path for key in node.keys.values() for path in key.files))
    return sorted({path for path in files if path.startswith(f"{node.paths.run}/")})


def _groups(device_group: str, *, gpu: bool) -> str:
    """Beside the devices' own group: journald's, who alone tells what the GPU driver reported before the agent ran."""
    groups = [name for name in (device_group, _JOURNAL_GROUP if gpu else "") if name]
    return "\n".join(f"SupplementaryGroups={name}" for name in groups) or "# Everybody may use the devices."


def _device_group(facts: Observed) -> str:
    """The group that may use the GPUs, where the administrator has closed them to others."""
    if facts.safety.nvidia_device is None:
        return ""
    mode, group = facts.safety.nvidia_device
    return "" if mode & _OTHERS_MAY == _OTHERS_MAY or group == "root" else group
