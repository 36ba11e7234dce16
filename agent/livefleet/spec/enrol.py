"""First boot of a preconfigured image: where a host enrols, what it trusts, and where its answers come from.

`first-boot.yaml` lies in the image and holds no secret; `livefleet.yaml` is brought by whoever sets the host up.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from livefleet.spec.assemble import locate_in, mapping_of
from livefleet.spec.document import parse_document, read_document
from livefleet.spec.explain import explain
from livefleet.spec.fleet import Name
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress
from livefleet.spec.problem import SpecError

__all__ = [
    "FIRST_BOOT_FILE",
    "SEED_FILE",
    "EnrolTrust",
    "FirstBoot",
    "FirstBootMode",
    "Nickname",
    "RetrySettings",
    "Seed",
    "SeedPlaces",
    "TokenText",
    "load_first_boot",
    "parse_seed",
]

FIRST_BOOT_FILE: Final = "first-boot.yaml"
"""Its name in /etc/livefleet."""

SEED_FILE: Final = "livefleet.yaml"
"""Its name on a stick."""

_TOKEN: Final = re.compile(r"lf1-[a-z2-7]{32}")
_T = TypeVar("_T", bound=SpecModel)


def _service(text: str) -> str:
    parts = urlsplit(text)
    try:
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        port_is_right = False
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme != "https" or not parts.hostname or not plain or not port_is_right or re.search(r"\s", text):
        raise ValueError("write `https://HOST:PORT` of `livefleet enrol serve`, without user, path or query")
    return text.rstrip("/")


def _authority(text: str) -> str:
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        raise ValueError("write the certificates as PEM text (`-----BEGIN CERTIFICATE-----`), and no private key")
    return text


def _token(text: Any) -> str:
    if not isinstance(text, str) or not _TOKEN.fullmatch(text.strip()):
        # The text is not shown: it may be a token with one character wrong.
        raise ValueError("is no token of `livefleet enrol token new`: `lf1-` and 32 characters of a-z and 2-7")
    return text.strip()


Pin = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""SHA-256 of the DER form of a certificate's public key (SubjectPublicKeyInfo), as `livefleet enrol pin` prints it."""

TokenText = Annotated[str, BeforeValidator(_token)]
"""A token as `livefleet enrol token new` prints it."""

Nickname = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
"""Letters, digits, `.`, `_` and `-`, at most 32."""


class FirstBootMode(StrEnum):
    """Whose host it becomes."""

    FLEET = "fleet"
    """One of the operator's own."""

    POOL_WORKER = "pool_worker"
    """Somebody's own machine that works for a pool: asked for a payout address and a nickname, and nothing else."""


class EnrolTrust(SpecModel):
    """How the operator's service is known; nothing is sent to another one. At least one of the two."""

    pins: tuple[Pin, ...] = ()
    """The keys that the service's certificate may have: `sha256:` and 64 hex digits. Two while one replaces the other.
    Dates and names of the certificate do not count then, so that a host without a clock can enrol."""

    ca: Annotated[str, AfterValidator(_authority)] | None = None
    """PEM text of the authorities that the service's certificate may come from. Its name and dates count. None: pins
    alone. With both, the certificate has to pass both."""

    @model_validator(mode="after")
    def _something(self) -> "EnrolTrust":
        if not self.pins and self.ca is None:
            raise ValueError("give `pins` (`livefleet enrol pin` prints one) or `ca`: an image must know its operator")
        return self


class SeedPlaces(SpecModel):
    """Where a token, or a pool worker's answers, may come from. Looked at in this order: credential, volumes, files."""

    credential: bool = True
    """The systemd credential `livefleet.token` (of the unit, or of the whole system, which is how a hypervisor hands
    one over by SMBIOS or fw_cfg), and else the SMBIOS text `livefleet.token=...`."""

    labels: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,32}$")], ...] = ("LIVEFLEET", "cidata")
    """Volumes with one of these labels, capitals or not, are mounted read-only and looked through for
    `livefleet.yaml`."""

    files: tuple[Annotated[str, StringConstraints(pattern=r"^/\S+$")], ...] = (
        "/boot/livefleet.yaml",
        "/boot/firmware/livefleet.yaml",
        "/boot/efi/livefleet.yaml",
        "/etc/livefleet/livefleet.yaml",
    )
    """Files that are looked at."""


class RetrySettings(SpecModel):
    """How long to go on where going on may help: no network yet, nobody answers, no approval yet."""

    first_s: float = Field(default=2.0, gt=0)
    """Seconds before the second try; each wait is one and a half times the one before, and a little by chance."""

    cap_s: float = Field(default=60.0, gt=0)
    """The longest wait, in seconds."""

    for_s: float | None = Field(default=None, gt=0)
    """Seconds after which first boot ends with exit code 3. None: it goes on until the host is enrolled."""


class FirstBoot(SpecModel):
    """/etc/livefleet/first-boot.yaml. The same for every host of an image; it holds no secret and names no host."""

    version: Literal[1] = 1
    """Version of this format."""

    url: Annotated[str, AfterValidator(_service)]
    """`https://HOST:PORT` of the operator's `livefleet enrol serve`."""

    trust: EnrolTrust
    """How that service is known."""

    mode: FirstBootMode = FirstBootMode.FLEET
    """`fleet` or `pool_worker`."""

    pool: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
    """What the pool is called, shown on the console; for the mode `pool_worker`. None: the host of `url`."""

    profile: Name | None = None
    """The profile that the image was made for, for the operator's lists. None: not said."""

    cards: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")], ...] = ()
    """The cards that the profile is for, as `cards` of a profile names them (`rtx-3060`). A host with other cards, or
    with none, does not enrol. None given: any hardware."""

    name_prefix: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,15}$")] = "host"
    """A host that is not expected by name calls itself this, `-` and eight characters of its own key's hash."""

    claim: bool = True
    """Without a token, show a short code and wait until the operator approves it. False: wait for a token."""

    seed: SeedPlaces = SeedPlaces()
    """Where a token or a pool worker's answers may come from."""

    retry: RetrySettings = RetrySettings()
    """How long to go on."""

    @model_validator(mode="after")
    def _pool_fits(self) -> "FirstBoot":
        if self.pool is not None and self.mode is not FirstBootMode.POOL_WORKER:
            raise ValueError("`pool` goes with `mode: pool_worker`")
        return self


class Seed(SpecModel):
    """livefleet.yaml on a stick: what one host is told by whoever sets it up."""

    token: TokenText | None = None
    """A token of `livefleet enrol token new`. None: the operator approves the host by its short code."""

    payout: EthAddress | None = None
    """The address that a pool pays; with its checksum right, or all in small letters."""

    nickname: Nickname | None = None
    """What a pool calls the worker in its lists."""

    def over(self, lower: "Seed") -> "Seed":
        """This one, with what it does not say from `lower`."""
        return Seed(**(lower.model_dump(exclude_none=True) | self.model_dump(exclude_none=True)))

    @property
    def answers_pool(self) -> bool:
        """Whether a pool's questions are all answered."""
        return self.payout is not None and self.nickname is not None


def load_first_boot(path: Path) -> FirstBoot:
    """Read first-boot.yaml. Raises SpecError with positions."""
    return _parsed(FirstBoot, path.name, path)


def parse_seed(text: str, file: str) -> Seed:
    """Read the text of a livefleet.yaml; `file` stands in messages. Raises SpecError with positions."""
    return _parsed(Seed, file, text)


def _parsed(model: type[_T], file: str, source: Path | str) -> _T:
    document = read_document(source) if isinstance(source, Path) else parse_document(source, file)
    data = mapping_of(document)
    problems = list(document.problems)
    try:
        value = model.model_validate(data)
    except ValidationError as error:
        raise SpecError([*problems, *explain(error, model, data, locate_in(document))]) from error
    if problems:
        raise SpecError(problems)
    return value
