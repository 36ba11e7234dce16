"""What a host and the operator's service say to each other: the messages of enrolment and of reports.

Every POST is signed by the host's own Ed25519 key over a challenge that the service gave out a moment before, so that
a request says who asks, counts once, and needs no clock on the host.
"""

import base64
import hashlib
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from livefleet.spec.enrol import FirstBootMode, Nickname, TokenText
from livefleet.spec.fleet import Name
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = [
    "ASK_PATH",
    "CHALLENGE_HEADER",
    "CHALLENGE_PATH",
    "CODE_PATH",
    "KEY_HEADER",
    "LARGEST_ANSWER",
    "LARGEST_BODY",
    "REPORT_PATH",
    "SIGNATURE_HEADER",
    "Challenge",
    "EnrolAsk",
    "EnrolFault",
    "Enrolled",
    "HostReport",
    "Refusal",
    "SeenGpu",
    "SentFile",
    "Waiting",
    "host_name",
    "key_fingerprint",
    "signed_text",
]

CHALLENGE_PATH: Final = "/enrol/v1/challenge"
ASK_PATH: Final = "/enrol/v1/host"
REPORT_PATH: Final = "/enrol/v1/report"
CODE_PATH: Final = "/c/"
"""Before a host's code: a page for who looks at the host's screen with a telephone."""

KEY_HEADER: Final = "livefleet-key"
CHALLENGE_HEADER: Final = "livefleet-challenge"
SIGNATURE_HEADER: Final = "livefleet-signature"

LARGEST_BODY: Final = 64 << 10
"""Bytes that the service reads of a request."""

LARGEST_ANSWER: Final = 2 << 20
"""Bytes that a host reads of an answer."""

Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""One printable line."""


def signed_text(path: str, challenge: str, body: bytes) -> bytes:
    """What a host signs of a request."""
    return f"livefleet enrol 1\n{path}\n{challenge}\n{hashlib.sha256(body).hexdigest()}".encode()


def key_fingerprint(public_key: bytes) -> str:
    """64 hex digits that stand for a host's key (its 32 raw bytes)."""
    return hashlib.sha256(public_key).hexdigest()


def host_name(prefix: str, public_key: bytes) -> str:
    """What a host goes by that nobody expects by name: the prefix, and eight characters that stand for its key."""
    return f"{prefix}-{base64.b32encode(bytes.fromhex(key_fingerprint(public_key))[:5]).decode().lower()}"


class EnrolFault(StrEnum):
    """Why the service says no."""

    TOKEN_UNKNOWN = "TokenUnknown"  # noqa: S105 -- a reason, not a password
    TOKEN_USED = "TokenUsed"  # noqa: S105
    TOKEN_EXPIRED = "TokenExpired"  # noqa: S105
    TOKEN_REVOKED = "TokenRevoked"  # noqa: S105
    REJECTED = "Rejected"  # by the operator
    NEEDS_TOKEN = "NeedsToken"  # noqa: S105 -- and nobody approves here
    NO_ANSWERS = "NoAnswers"  # a pool worker without payout address or nickname
    NOT_ENROLLED = "NotEnrolled"  # a report of a key that nobody knows
    BAD_REQUEST = "BadRequest"
    BAD_SIGNATURE = "BadSignature"
    NOT_READY = "NotReady"  # the fleet file cannot be used just now
    BUSY = "Busy"

    @property
    def is_passing(self) -> bool:
        """Whether the same question may be answered later."""
        return self in (EnrolFault.NOT_READY, EnrolFault.BUSY, EnrolFault.BAD_SIGNATURE)


class Challenge(SpecModel):
    """What a host signs next, within two minutes."""

    challenge: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{16,128}$")]
    """Text of the service's own making."""

    now: float
    """Unix seconds by the service's clock."""


class SeenGpu(SpecModel):
    """A card as NVML tells of it."""

    name: Line
    """The model."""

    uuid: Line = ""
    """NVML's UUID."""

    memory_mib: int | None = Field(default=None, ge=0)
    """MiB. None: NVML does not tell."""


class EnrolAsk(SpecModel):
    """A host asks to be let in; asking again is harmless and gives the same answer."""

    name: Name
    """What it calls itself, unless it is expected by another name."""

    token: TokenText | None = None
    """A token. None: it waits to be approved."""

    mode: FirstBootMode = FirstBootMode.FLEET
    """Whose host it becomes."""

    profile: Name | None = None
    """The profile that its image was made for."""

    payout: EthAddress | None = None
    """A pool worker's payout address."""

    nickname: Nickname | None = None
    """A pool worker's nickname."""

    gpus: tuple[SeenGpu, ...] = Field(default=(), max_length=64)
    """Its cards."""

    cores: int = Field(default=0, ge=0)
    """Processor threads."""

    memory_mib: int = Field(default=0, ge=0)
    """The machine's memory, MiB."""

    release: Line = ""
    """The agent's version."""


Code = Annotated[str, StringConstraints(pattern=r"^[A-Z2-9]{4}-[A-Z2-9]{4}$")]
"""Eight characters for people's eyes and fingers; none of them looks like another."""


class Waiting(SpecModel):
    """Nobody has approved the host yet."""

    state: Literal["waiting"] = "waiting"

    code: Code
    """What the operator types."""

    again_s: float = Field(gt=0, le=3600)
    """Seconds until it should ask again."""


class SentFile(SpecModel):
    """A file that the host needs beside node.yaml: a secret, or the root that a bundle's signatures lead to."""

    path: str = Field(min_length=1, max_length=300)
    """Where it goes, from the node's state folder."""

    content: str
    """Base64."""


class Enrolled(SpecModel):
    """The host is let in, and this is what it is told."""

    state: Literal["enrolled"] = "enrolled"

    name: Name
    """Its name in the fleet."""

    code: Code
    """What it goes by in the operator's lists."""

    node_yaml: str = Field(max_length=1 << 20)
    """Byte for byte what `livefleet apply` would write."""

    files: tuple[SentFile, ...] = Field(default=(), max_length=64)
    """Files that it needs."""


class Refusal(SpecModel):
    """The service says no."""

    fault: EnrolFault
    """Why."""

    message: str = Field(max_length=1000)
    """The same in words, with what to do."""


class HostReport(SpecModel):
    """How an enrolled host is, by its own word; the service keeps the newest."""

    ready: bool
    """What /readyz says."""

    reasons: tuple[Line, ...] = Field(default=(), max_length=20)
    """Names of the conditions that keep it from being ready, or that somebody should look at."""

    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    """Digest of the settings that it runs."""

    release: Line = ""
    """The agent's version."""

    pull: dict[str, Any] | None = Field(default=None, max_length=20)
    """Its standing in pull mode. None: it does not pull."""

    uptime_s: float = Field(default=0.0, ge=0)
    """Seconds that the agent has been running."""
