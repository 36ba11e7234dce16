"""The systemd unit, and the supervisor's file for hosts without one."""

from pathlib import Path
from string import Template

from deploys.steps.files import HostFile
from livefleet.spec import NodeSpec

__all__ = ["UNIT_PATH", "render_unit", "supervisor_file", "unit_file"]

UNIT_PATH = "/etc/systemd/system/livefleet.service"
LAST_PRIVILEGED_PORT = 1023
STOP_MARGIN_S = 15  # the agent drains for `stop_timeout_s`, then closes down
_FILES = Path(__file__).parent.parent / "files"
_GPU_DEVICES = ("char-nvidia", "char-nvidia-frontend", "char-nvidiactl", "char-nvidia-uvm", "char-nvidia-caps")


def render_unit(node: NodeSpec, *, gpu: bool) -> str:
    """The unit for this node; `gpu`: NVIDIA devices are on the host."""
    port = int(node.orchestrator.listen.rpartition(":")[2]) if node.orchestrator else LAST_PRIVILEGED_PORT + 1
    template = Template((_FILES / "livefleet.service").read_text())
    return template.substitute(
        role=node.role.value,
        name=node.name,
        stop_timeout=f"{node.service.stop_timeout_s + STOP_MARGIN_S:g}",
        capabilities="CAP_NET_BIND_SERVICE" if port <= LAST_PRIVILEGED_PORT else "",
        devices="\n".join(f"DeviceAllow={name} rw" for name in _GPU_DEVICES)
        if gpu
        else "# No NVIDIA device on this host.",
        memlock="LimitMEMLOCK=infinity" if gpu else "# No NVIDIA device, no pinned memory.",
    )


def unit_file(node: NodeSpec, *, gpu: bool) -> HostFile:
    """The unit as a file of the host."""
    return HostFile(UNIT_PATH, render_unit(node, gpu=gpu).encode(), 0o644, None, secret=False)


def supervisor_file(opt: str) -> HostFile:
    """The supervisor as a file of the host."""
    return HostFile(f"{opt}/supervise.py", (_FILES / "supervise.py").read_bytes(), 0o755, None, secret=False)
