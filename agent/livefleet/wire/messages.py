"""Protobuf messages that have no home in another room, as they are inside."""

from dataclasses import dataclass, field
from fractions import Fraction

from livefleet.kernel import Pixels
from livefleet.payments import TicketParams
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.auth import AuthToken
from livefleet.wire.capabilities import Capabilities
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.storage import StoreGrant

__all__ = [
    "CapabilityPrice",
    "OrchestratorInfo",
    "OrchestratorRequest",
    "SegmentOutcome",
    "SessionEnd",
    "StoredRendition",
    "WorkerTask",
]


@dataclass(frozen=True, slots=True)
class OrchestratorRequest:
    """What a gateway asks. Source: lp_rpc.proto OrchestratorRequest."""

    address: bytes = b""  # 20 bytes; empty off-chain
    signature: bytes = b""
    capabilities: Capabilities | None = None  # None: a plain request for information
    ignore_capacity_check: bool = False  # concerns live video only


@dataclass(frozen=True, slots=True)
class CapabilityPrice:
    """The price of one model, in whole wei per unit; the wire has nothing finer here."""

    capability: int
    model_id: str
    price: int


@dataclass(frozen=True, slots=True)
class OrchestratorInfo:
    """What an orchestrator answers. Source: lp_rpc.proto OrchestratorInfo."""

    transcoder: str  # base URL to post work to
    address: bytes  # 20 bytes: who signs results; zeroes off-chain
    capabilities: Capabilities | None
    auth_token: AuthToken | None
    price: Fraction | None = None  # None off-chain
    ticket_params: TicketParams | None = None  # None off-chain
    capability_prices: tuple[CapabilityPrice, ...] = ()
    nodes: tuple[str, ...] = ()
    hardware: tuple[ModelHardware, ...] = ()  # where AI models run; told in answers to plain requests only
    storage: tuple[StoreGrant, ...] = ()  # where sources may be uploaded to instead of into the request; one at most


@dataclass(frozen=True, slots=True)
class StoredRendition:
    """One output of a segment and where it lies."""

    url: str
    pixels: Pixels
    perceptual_hash_url: str = ""  # where its hash lies; empty where none was asked for


@dataclass(frozen=True, slots=True)
class SegmentOutcome:
    """What became of a segment; `error` or the renditions. Source: lp_rpc.proto TranscodeResult."""

    sequence: int
    info: OrchestratorInfo | None
    renditions: tuple[StoredRendition, ...] = ()
    signature: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """A segment for a worker. Source: lp_rpc.proto NotifySegment."""

    task_id: int
    url: str  # where the source is
    credentials: SegmentCredentials = field(default_factory=SegmentCredentials)
    orchestrator_id: str = "offchain"


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """A worker shall let go of a session. On the wire a NotifySegment without a URL."""

    session: str
