"""GPUs and drivers as declared."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from livefleet.spec.model import SpecModel

__all__ = ["DriverSettings", "GpuSelection", "GpuUuid"]

GpuUuid = Annotated[str, StringConstraints(pattern=r"^(GPU|MIG)-[0-9a-fA-F-]{8,}$")]
"""NVML's UUID of a device."""

GpuSelection = Literal["all", "none"] | tuple[GpuUuid, ...]
"""`all` present ones (none present is fine), `none`, or exactly these UUIDs (each must be present)."""


class DriverSettings(SpecModel):
    """The NVIDIA driver on the host."""

    install: bool = True
    """Install it where an NVIDIA device is found on the PCI bus. False: leave the host's driver alone."""

    branch: int = Field(default=580, ge=470)
    """Driver branch; 580 is the long-term one that still drives Maxwell to Volta."""

    flavour: Literal["auto", "open", "proprietary"] = "auto"
    """Kernel modules. auto: open from Turing on, proprietary before."""

    min_version: str | None = None
    """Oldest driver version that counts as healthy, e.g. `570.26`. None: any."""
