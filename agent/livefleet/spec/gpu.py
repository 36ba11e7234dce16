"""GPUs and drivers as declared."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from livefleet.spec.model import SpecModel
from livefleet.spec.reboot_window import RebootWindow
from livefleet.spec.session_patch import SessionPatch

__all__ = ["CardName", "DriverRepository", "DriverSettings", "DriverVersion", "GpuFamily", "GpuSelection", "GpuUuid"]

GpuUuid = Annotated[str, StringConstraints(pattern=r"^(GPU|MIG)-[0-9a-fA-F-]{8,}$")]
"""NVML's UUID of a device."""

GpuSelection = Literal["all", "none"] | tuple[GpuUuid, ...]
"""`all` present ones (none present is fine), `none`, or exactly these UUIDs (each must be present)."""

CardName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""A card's name in the table of cards, as `rtx-3060`."""

GpuFamily = Literal["maxwell", "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell"]
"""An NVIDIA architecture, oldest first."""

DriverVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{3}\.[0-9]{1,3}(\.[0-9]{1,2})?$")]
"""A driver's whole version, as `580.95.05`."""


class DriverRepository(SpecModel):
    """A package repository to use in place of NVIDIA's own: a copy of it at your site, or one that you keep."""

    url: str
    """The folder with `InRelease` in it, as `http://mirror.example/cuda/repos/debian12/x86_64/`."""

    key_url: str | None = None
    """Its public key. None: the file of NVIDIA's name for the distribution, in that folder."""

    key_fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{40}$")] | None = None
    """Fingerprint of that key, 40 hexadecimal digits; no other key is accepted. None: NVIDIA's own, for a copy is
    signed as the original is."""

    @field_validator("url", "key_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("https", "http") or not urlsplit(value).netloc):
            raise ValueError(f"{value!r} is no address that apt can fetch from; write https://... or http://...")
        return value


class DriverSettings(SpecModel):
    """The NVIDIA driver on the host."""

    install: bool = True
    """Install it where an NVIDIA device is found on the PCI bus. False: leave the host's driver alone."""

    branch: int | None = Field(default=None, ge=470)
    """The branch to be on, as 580, the long-term one that still drives Maxwell to Volta; any version of it will do.
    None (and no `version`): a driver that works is left alone, and a host without one gets 580, or where the
    distribution's repository does not have that, its oldest long-lived one."""

    version: DriverVersion | None = None
    """Exactly this version, as `580.95.05`. None: any of the branch."""

    flavour: Literal["auto", "open", "proprietary"] = "auto"
    """Kernel modules. auto: open from Turing on, proprietary before."""

    min_version: str | None = None
    """Oldest driver version that counts as healthy, e.g. `570.26`. None: any."""

    families: tuple[GpuFamily, ...] = ()
    """Cards that the host is meant to have; with others it is not touched. Empty: any."""

    repository: DriverRepository | None = None
    """Where packages come from. None: NVIDIA's repository, or Ubuntu's own archive."""

    reboot_window: RebootWindow | None = None
    """When a change of the driver may reboot the host. Outside it the host waits and serves with the driver it has.
    None: never; a change that turns out to need a reboot is taken back and said."""

    reboot_timeout_s: float = Field(default=600, ge=30, le=3600)
    """Seconds within which a rebooted host has to answer; servers with much memory take minutes."""

    drain_deadline_s: float = Field(default=600, ge=0, le=86400)
    """Seconds that running streams get before a change of the driver cuts them off."""

    way_back: bool = True
    """Keep the packages of the driver that a change replaces, and go back to it when the change fails; where they
    cannot be had any more the change is not begun. False: go forward without a way back."""

    container_toolkit: bool = False
    """Install the NVIDIA container toolkit too, for containers beside the agent, which itself needs none."""

    session_patch: SessionPatch | None = None
    """A change of the encoder library that you bring yourself; needs an exact `version`. None: the library as NVIDIA
    made it, and an earlier patch is taken back."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.version is not None and self.branch is not None and self.version.split(".")[0] != str(self.branch):
            wanted = self.version.split(".")[0]
            raise ValueError(
                f"version {self.version} is not of branch {self.branch}; set `branch: {wanted}`, or leave out one"
            )
        if self.session_patch is not None and self.version is None:
            raise ValueError("`session_patch` fits one driver version only: declare it, as `version: 580.95.05`")
        return self

    @property
    def wanted_branch(self) -> int | None:
        """The declared branch, by itself or as that of the version."""
        return self.branch if self.version is None else int(self.version.split(".")[0])
