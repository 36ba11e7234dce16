"""What an image is made of: the manifest that lies beside it and in it, read by who builds, shows and verifies."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, assert_never
from uuid import UUID

from pydantic import Field, StringConstraints, ValidationError

from livefleet.kernel import BadInput
from livefleet.spec.model import SpecModel

__all__ = [
    "MANIFEST_IN_IMAGE",
    "ROOT_PARTITION",
    "ImageDisk",
    "ImageDriver",
    "ImageFile",
    "ImageFormat",
    "ImageManifest",
    "ImagePackage",
    "ImageRelease",
    "ImageSource",
    "ImageWheel",
    "parse_manifest",
]

MANIFEST_IN_IMAGE: Final = "/usr/share/livefleet/image.json"
"""Where an image tells of itself."""

ROOT_PARTITION: Final = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
"""The type that a disk's root partition has, for x86_64. Source: UAPI group, discoverable partitions."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""64 hexadecimal digits."""


class ImageFormat(StrEnum):
    """What an image's file is."""

    ROOTFS_TAR = "rootfs-tar"
    """The root file system as an uncompressed tar, for containers, network boot, or to be unpacked on a disk."""

    EXT4 = "ext4"
    """The root file system as an ext4 image, for a partition, or a virtual machine that is given its kernel."""

    DISK = "disk"
    """A whole disk with a boot loader, to be written to a disk or stick that UEFI firmware starts."""

    @property
    def ending(self) -> str:
        """Of a file's name."""
        match self:
            case ImageFormat.ROOTFS_TAR:
                return "tar"
            case ImageFormat.EXT4:
                return "ext4"
            case ImageFormat.DISK:
                return "img"
            case _:
                assert_never(self)


class ImagePackage(SpecModel):
    """One package of the distribution's, or of NVIDIA's, as installed."""

    name: str
    version: str
    architecture: str
    sha256: Sha256 | None
    """Of its .deb, as the signed index of its source had it. None: the source's index does not say."""


class ImageWheel(SpecModel):
    """One Python package of the agent's release."""

    file: str
    sha256: Sha256


class ImageRelease(SpecModel):
    """The agent in the image."""

    id: str
    """Its folder below /opt/livefleet/releases; the same id that `livefleet apply` gives the same content."""

    python: str
    """The image's own, as `3.11`."""

    extras: tuple[str, ...]
    wheels: tuple[ImageWheel, ...]


class ImageSource(SpecModel):
    """One place that packages came from while the image was made."""

    line: str
    """As apt reads it, without options."""

    date: str | None
    """The `Date` of its signed index: which state of it was used. None: the index does not say."""


class ImageDriver(SpecModel):
    """NVIDIA's driver in the image."""

    version: str
    branch: int
    flavour: Literal["open", "proprietary"]
    source: str
    """For people; with `repository` in the profile that one's address."""

    families: tuple[str, ...]
    """Architectures of the cards that it is for."""

    kernels: tuple[str, ...]
    """Kernels in the image that have its module."""


class ImageDisk(SpecModel):
    """How a disk is known to the kernel that it starts. All three come from the tree's content."""

    disk_id: UUID
    """Of the partition table."""

    boot_id: UUID
    """PARTUUID of the EFI system partition."""

    root_id: UUID
    """PARTUUID of the root partition."""

    command_line: str
    """The kernel's; the last `console=` leads to where the first boot speaks."""


class ImageFile(SpecModel):
    """The file itself. Not in the manifest that lies in the image: a file cannot name its own digest."""

    name: str
    format: ImageFormat
    bytes: int
    sha256: Sha256


class ImageManifest(SpecModel):
    """All that went into an image. Two builds from the same of it give the same `file.sha256`."""

    version: Literal[1] = 1
    """Version of this format."""

    profile: str
    profile_sha256: Sha256
    """Of what the profile comes to with the fleet's defaults: /usr/share/livefleet/profile.yaml in the image."""

    fleet: str | None
    """The fleet whose defaults were used. None: no fleet file was given."""

    first_boot_sha256: Sha256
    """Of /etc/livefleet/first-boot.yaml."""

    suite: str
    architecture: str
    epoch: int = Field(ge=0)
    """Unix time that no file in the image is newer than, and that stands wherever a time of building would."""

    sources: tuple[ImageSource, ...]
    kernels: tuple[str, ...]
    driver: ImageDriver | None
    disk: ImageDisk | None = Field(default=None, exclude_if=lambda disk: disk is None)
    """Identifiers of its partitions. None: it is no disk."""

    release: ImageRelease
    packages: tuple[ImagePackage, ...]
    tools: dict[str, str]
    """Debian packages of the programs that made the image, and livefleet itself, with their versions."""

    tree_sha256: Sha256
    """Over every file's path, kind, mode, owner and content but the manifest's own: the same whatever the format."""

    file: ImageFile | None = None


def parse_manifest(text: str, where: str | Path) -> ImageManifest:
    """A manifest's text. Raises BadInput saying what is wrong with it."""
    try:
        return ImageManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the text"
        raise BadInput(f"{where} is no manifest of an image: {place}: {first['msg']}") from error
