"""What is known of one kind of card: every value with its source, and what sources do not agree on."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, StringConstraints

from livefleet.spec.gpu import CardName, GpuFamily
from livefleet.spec.model import SpecModel

__all__ = ["Card", "Claim", "Known", "Sessions", "Source"]

T = TypeVar("T")

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Sources = Annotated[tuple[SourceName, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
"""Names of sources, one or several that agree."""

Sessions = Literal["shared", "unlimited"]
"""`shared`: the driver counts encoder sessions of all such cards of a host together, up to its cap. `unlimited`: it
does not count; engines and memory are the limit."""

PciId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}$")]
"""A PCI device id of NVIDIA's (vendor 10de), four hexadecimal digits."""


class Source(SpecModel):
    """Where values come from."""

    title: str
    url: str
    note: str | None = None
    """How it was read, where that matters: by hand, quoted by others, for which release."""


class Claim(SpecModel, Generic[T]):
    """What other sources say instead."""

    value: T
    source: Sources
    note: str | None = None


class Known(SpecModel, Generic[T]):
    """A value and who says so."""

    value: T
    source: Sources
    note: str | None = None
    disputed: tuple[Claim[T], ...] = ()
    """What others say. `value` is then what the maker's own documents say, or between equals what promises less."""


class Card(SpecModel):
    """A kind of card. None: no source is known for it."""

    card: CardName
    """Its name here, and that of its profile."""

    label: str | None = None
    """What people call it, where NVML has several names. None: the first of `names`."""

    names: Known[tuple[str, ...]]
    """As NVML and the driver call it, less a leading `NVIDIA `; cases and hyphens do not count."""

    pci_ids: Known[tuple[PciId, ...]]
    """All PCI device ids that are known for it. Two kinds of card may share one."""

    chips: Known[tuple[str, ...]]
    """The chips it is made with."""

    architecture: Known[GpuFamily]
    compute_capability: Known[str]
    memory_gib: Known[tuple[int, ...]] | None = None
    """Memory of one GPU in GiB, every variant."""

    gpus: Known[int] | None = None
    """GPUs on one card, where there are several."""

    encoders: Known[int] | None = None
    """NVENC engines of one GPU. They share the work of its sessions; one session runs on one of them."""

    encoder_generation: Known[int] | None = None
    encoder_sessions: Known[Sessions] | None = None
    """Whether its encoder sessions count towards the driver's cap."""

    decoders: Known[int] | None = None
    """NVDEC engines of one GPU."""

    av1_encode: Known[bool] | None = None
    av1_decode: Known[bool] | None = None
    ecc: Known[bool] | None = None
    """Memory with error correction."""

    row_remapping: Known[bool] | None = None
    """Whether it puts spare rows in place of broken ones."""

    mig_instances: Known[int] | None = None
    """Into how many instances a GPU can be divided (MIG); 0: not at all."""

    first_branch: Known[int] | None = None
    """The oldest driver branch for it."""

    last_branch: Known[int | Literal["current"]] | None = None
    """The newest driver branch for it; `current`: it has not been dropped."""

    kernel_modules: Known[tuple[Literal["open", "proprietary"], ...]] | None = None
    """Flavours of NVIDIA's kernel modules that drive it."""

    @property
    def title(self) -> str:
        """For people: `GeForce RTX 3060`."""
        return self.label or self.names.value[0]

    @property
    def is_gtx(self) -> bool:
        """A GeForce GTX: no tensor cores, made for video here and not for diffusion."""
        return self.card.startswith("gtx-")

    @property
    def has_no_encoder(self) -> bool:
        """Known to have no NVENC."""
        return self.encoders is not None and self.encoders.value == 0

    def facts(self) -> dict[str, Known[Any] | None]:
        """Every value by its name, in order; None where it is unknown."""
        return {name: getattr(self, name) for name in type(self).model_fields if name not in ("card", "label")}
