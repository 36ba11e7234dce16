"""What a node tells of its services in /status. A part is None where there is no such service, or none yet."""

from pydantic import BaseModel, ConfigDict

__all__ = [
    "AiWorkerPart",
    "ChainPart",
    "DevicePart",
    "GpuHealthPart",
    "GpuPart",
    "HardwarePart",
    "JoinedWorker",
    "KeptKey",
    "KeykeeperPart",
    "LoadPart",
    "ModelAccountPart",
    "ModelAccountsPart",
    "ModelPart",
    "PaymentsPart",
    "PricesPart",
    "RedeemerPart",
    "ServerPart",
    "SuspensionPart",
    "TicketSum",
    "Tickets",
    "WorkerPart",
]


class _Part(BaseModel):
    """A newer agent may say more, an older one less."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class JoinedWorker(_Part):
    """A worker that joined this orchestrator."""

    peer: str
    capacity: int = 0  # sessions
    sessions: int = 0


class SuspensionPart(_Part):
    """What makes a stock gateway leave an orchestrator for a while."""

    at: float  # unix seconds
    gateway: str = ""
    error: str


class ServerPart(_Part):
    """An orchestrator's front door and what went through it since the start."""

    sessions: int
    max_sessions: int
    local_sessions: int = 0
    workers: tuple[JoinedWorker, ...] = ()
    segments_ok: int = 0
    segments_failed: int = 0
    requests_refused: int = 0
    images_ok: int = 0
    images_failed: int = 0
    last_segment_s: float | None = None
    front_door_restarts: int = 0
    suspensions: tuple[SuspensionPart, ...] = ()  # newest last


class DevicePart(_Part):
    """A transcoding device."""

    device: str
    sessions: int
    places: int
    places_used: float


class GpuPart(_Part):
    """A GPU as NVML saw it last. None: it does not tell."""

    gpu: str
    name: str = ""
    memory_total: int | None = None  # bytes
    memory_used: int | None = None
    utilization: int | None = None  # percent, as the next two
    encoder_utilization: int | None = None
    decoder_utilization: int | None = None
    encoder_sessions: int | None = None
    temperature_c: int | None = None
    power_mw: int | None = None
    power_limit_mw: int | None = None
    fault: str | None = None


class HardwarePart(_Part):
    """What NVML says."""

    driver_version: str | None = None
    taken_at: float = 0.0  # unix seconds
    fault: str | None = None
    devices: tuple[GpuPart, ...] = ()


class GpuHealthPart(_Part):
    """What the node makes of a GPU's health."""

    gpu: str
    state: str
    reason: str = ""
    text: str = ""
    advice: str = ""


class LoadPart(_Part):
    """What the open sessions cost the machine."""

    cores: float
    cores_for_sessions: float
    cores_used_by_sessions: float
    cores_used_by_others: float
    limit: float
    has_room: bool
    devices: tuple[DevicePart, ...] = ()
    segments_retried: int = 0
    segments_suspected: int = 0


class TicketSum(_Part):
    """Tickets, and their value in wei: expected for those received, face value for the others."""

    count: int = 0
    face_value_wei: int = 0
    expected_value_wei: int = 0


class Tickets(_Part):
    """Tickets through their life, since the payments store was made."""

    received: TicketSum = TicketSum()
    won: TicketSum = TicketSum()
    pending: TicketSum = TicketSum()
    redeemed: TicketSum = TicketSum()
    lost: TicketSum = TicketSum()


class PaymentsPart(_Part):
    """What was earned."""

    on_chain: bool
    price_wei_per_pixel: int | str = 0  # text: a fraction
    tickets: Tickets = Tickets()
    paid_wei: int = 0
    refused: dict[str, int] = {}
    balances: int = 0
    credit_wei: int = 0


class PricesPart(_Part):
    """What quotes reckon with."""

    gas_price_wei: int
    usd_per_eth: str | None = None
    rate_updated_at: float | None = None


class ChainPart(_Part):
    """The chain as it was seen last."""

    l1_block: int
    round: int
    gas_price_wei: int = 0
    seen_at: float = 0.0


class WorkerPart(_Part):
    """A worker's stream to its orchestrator."""

    orchestrator: str
    joined: bool
    jobs: int = 0
    done: int = 0
    failed: int = 0


class AiWorkerPart(WorkerPart):
    """The same for AI jobs."""


class ModelPart(_Part):
    """A model that can be asked for now."""

    model_id: str
    warm: bool
    capacity: int
    capacity_in_use: int


class ModelAccountPart(_Part):
    """What a model earned and took of the devices."""

    pipeline: str
    model_id: str
    jobs: int | None = None  # None: another host charges for it
    charged_wei: int | str | None = None  # text: a fraction
    device_s: float = 0.0
    wei_per_device_s: int | None = None


class ModelAccountsPart(_Part):
    """All of them, since the book was begun."""

    since: float  # unix seconds
    fault: str = ""  # why it is not written
    models: tuple[ModelAccountPart, ...] = ()


class RedeemerPart(_Part):
    """A redeemer that orchestrators share."""

    queued: int = 0
    refused: int = 0
    tickets: Tickets = Tickets()
    paid_wei: int = 0


class KeptKey(_Part):
    """A key that a keykeeper has."""

    name: str
    address: str
    at: str = "this host"


class KeykeeperPart(_Part):
    """A host that holds keys."""

    orchestrator: str
    keys: tuple[KeptKey, ...] = ()
