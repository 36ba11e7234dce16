"""Roles and duties."""

import operator
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from livefleet.spec.ai import AiDuty
from livefleet.spec.ledger import LedgerDuty
from livefleet.spec.memory import Memory
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress, ListenAddress
from livefleet.spec.object_store import NetworkText, ObjectStoreLayer, ObjectStoreSettings
from livefleet.spec.pricing import TicketSettings, WeiAmount
from livefleet.spec.rotation import FormerSecret, TlsFiles
from livefleet.spec.self_benchmark import DeclaredBenchmark

__all__ = [
    "BatchMode",
    "Duties",
    "OrchestratorLayer",
    "OrchestratorSettings",
    "RedemptionDuty",
    "RewardDuty",
    "Role",
    "TranscodingDuty",
    "WorkerLayer",
    "WorkerSettings",
]

_SERVICE_URI: Final = r"^https://[^/\s]+$"
_URL_OR_NAME: Final = r"^(https?://[^\s/]+\S*|[^\s:/]+)$"


class Role(StrEnum):
    """What a host is to the network."""

    ORCHESTRATOR = "orchestrator"
    WORKER = "worker"
    REDEEMER = "redeemer"
    KEYKEEPER = "keykeeper"
    MONITOR = "monitor"


class TranscodingDuty(SpecModel):
    """Transcode segments on this host."""

    encoder: Literal["auto", "software", "nvenc"] = "auto"
    """`auto` (NVENC where a declared GPU has it, else libx264), `software` or `nvenc`."""

    max_sessions: Annotated[int, Field(ge=1)] | Literal["auto"] = 10
    """Streams at once, at most: new ones are refused earlier when the machine has no room left. `auto`: as many as
    `livefleet bench transcode --write` has found; without such a measurement the room alone decides."""

    max_load: float = Field(default=0.8, gt=0)
    """The share of the machine's cores (less what other programs use), and of each device's places, that the streams'
    measured cost may take together before new streams are refused. Above 1 promises more than there is."""

    vram_headroom: Memory = Field(default=1 << 30, exclude_if=partial(operator.eq, 1 << 30))
    """Memory of each GPU that no model gets, so that a stream that begins need not wait until one has left. Streams may
    take more: models that are idle give way to them."""

    proof_interval_s: float = Field(default=600.0, ge=0, exclude_if=partial(operator.eq, 600.0))
    """After how many seconds without a segment a device has to transcode a small sample of the node's own. Where that
    does not come through, its process is replaced, and the device is not offered to gateways until a sample does. 0:
    only when its process starts."""

    benchmark: DeclaredBenchmark = None
    """Measure the limit for `max_sessions: auto` by itself: before serving, whenever this machine as it is (driver,
    cores, this ladder) has not been measured. `true` takes the defaults. None: only `livefleet bench transcode --write`
    does."""


class RewardDuty(SpecModel):
    """Call reward once a round."""

    check_every_s: float = Field(default=30.0, gt=0)
    """Seconds between looks while a reward is owed, even when no event says so; a round that is done with costs no
    requests."""

    initialize_round: bool = False
    """Also call initializeRound when a round has begun and nobody did, at a random moment of its first 30 seconds."""

    max_gas_price: WeiAmount = 0
    """Wei per gas above which the reward waits for cheaper gas while it has time. 0: none."""

    max_cost: WeiAmount = 3_000_000_000_000_000
    """Wei that the whole call may cost while it has time. 0: no limit. The default, 0.003 ETH, is a hundred times what
    it costs on a quiet day."""

    urgent_after_percent: int = Field(default=50, ge=0, le=100)
    """Percent of the round after which waiting for cheaper gas is over, and the urgent limits count instead."""

    urgent_max_gas_price: WeiAmount = 0
    """Wei per gas above which nothing is sent even then. 0: none."""

    urgent_max_cost: WeiAmount = 15_000_000_000_000_000
    """Wei that the whole call may cost then, by default 0.015 ETH. 0: no limit."""

    lpt_price: WeiAmount = 0
    """What one LPT is worth, for `max_cost_percent`: `0.002 eth`. 0: not said."""

    max_cost_percent: int | None = Field(default=None, gt=0, le=100)
    """Percent of what the reward mints for the orchestrator and its delegators that the call may cost, at all times of
    the round; needs `lpt_price`. None: the limits above alone count."""

    alarm_after_percent: int = Field(default=75, gt=0, le=100)
    """Percent of the round after which a missing reward turns the condition `RewardCalled` to `DeadlineNear`."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.max_cost_percent is not None and not self.lpt_price:
            raise ValueError("max_cost_percent: say what an LPT is worth in lpt_price, for example '0.002 eth'")
        for name in ("max_gas_price", "max_cost"):
            early, urgent = getattr(self, name), getattr(self, f"urgent_{name}")
            if urgent and (not early or urgent < early):
                raise ValueError(
                    f"urgent_{name} ({urgent} wei) allows less than {name} ({early or 'no limit'}); near the deadline "
                    "a reward may only cost more"
                )
        return self


class BatchMode(StrEnum):
    """Whether several tickets are redeemed in one transaction."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class RedemptionDuty(SpecModel):
    """Redeem winning tickets from the durable store."""

    check_every_s: float = Field(default=15.0, gt=0)
    """How often the store is looked at even when no block says so."""

    max_gas_price: WeiAmount = 0
    """Wei per gas above which a ticket waits for cheaper gas while it has time. 0: none."""

    max_cost_percent: int = Field(default=25, gt=0, le=100)
    """Percent of what a ticket pays that its gas may take while it has time. Quotes aim at 1."""

    urgent_before_s: float = Field(default=7200.0, gt=0)
    """Seconds before a ticket's last moment (the end of the round after the one that it was made in) from which
    waiting for cheaper gas is over; half a round where rounds are shorter than four hours. Then the ticket is redeemed
    as long as it pays more than its gas costs."""

    urgent_max_gas_price: WeiAmount = 0
    """Wei per gas above which nothing is sent even then. 0: none; a ticket that pays less than its gas stays anyway."""

    batch: BatchMode = BatchMode.AUTO
    """Several tickets in one transaction: `auto` (where that takes less gas, as measured), `always` or `never`."""

    max_batch: int = Field(default=20, ge=2, le=50)
    """Tickets in one transaction, at most."""

    collect_s: float = Field(default=120.0, ge=0)
    """Seconds that a ticket waits, while it has time, for others that are about to be due, to be redeemed with them.
    0: none."""


class Duties(SpecModel):
    """What the host does. As a list of names (`[transcoding, reward]`) each has its defaults; one left out is off."""

    transcoding: TranscodingDuty | None = None
    """Transcode segments on this host."""

    ai: AiDuty | None = None
    """Serve the declared models."""

    reward: RewardDuty | None = None
    """Call reward once a round; for the roles orchestrator and keykeeper."""

    redemption: RedemptionDuty | None = None
    """Redeem winning tickets; for the roles orchestrator and redeemer."""

    ledger: LedgerDuty | None = None
    """Keep books of fees, rewards, gas and transfers; for the roles orchestrator and keykeeper."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {str(name): {} for name in value}
        if isinstance(value, dict):
            return {
                name: {} if settings is True else None if settings is False else settings
                for name, settings in value.items()
            }
        return value


class OrchestratorLayer(SpecModel):
    """Facing gateways, as far as one layer says."""

    service_uri: str | None = Field(default=None, pattern=_SERVICE_URI)
    """Public base URL, `https://host:port`: what gateways are told and what is registered on chain."""

    listen: ListenAddress = "0.0.0.0:8935"
    """Address and port of the TLS front door."""

    key: str | None = None
    """Name (under `keys`) of the key that signs results and, unless `recipient` says otherwise, receives tickets.
    Required on-chain."""

    recipient: EthAddress | None = None
    """Ticket recipient, the orchestrator's on-chain address. None: the key's own."""

    max_sessions: int = Field(default=10, ge=1)
    """Streams at once over all workers."""

    worker_secret: str | None = None
    """Name (under `secrets`) of the secret that workers join with. None: no remote workers."""

    worker_secret_before: FormerSecret | None = None
    """The secret before that one, while workers move from one to the other. None: only `worker_secret` is taken."""

    tls: TlsFiles | None = None
    """The front door's certificate. None: the node makes one and renews it; nobody on this network checks it."""

    object_store: ObjectStoreLayer | None = None
    """An object store that gateways upload sources to and results are put into. None: results lie in this node's memory
    and gateways fetch them here."""

    peer_networks: tuple[NetworkText, ...] | None = None
    """Private networks (CIDR) that gateways' URLs may lead to: sources to fetch, object stores to fill. Addresses of
    the open internet always may. None: every network where `service_uri` is itself a private or loopback address, since
    gateways then are neighbours; else no private one is connected to on a gateway's word."""

    nodes: tuple[str, ...] = ()
    """Further instance URLs told to gateways."""

    discovery_only: bool = False
    """Tell gateways of `nodes` and do no work here: the work address is told empty (`serviceAddr none`). For the one
    registered address before a pool of orchestrators. Gateways follow `nodes` as far as their `-extraNodes` says."""

    redeemer: ListenAddress | None = None
    """`host:port` of a redeemer that this orchestrator shares with others (`redeemerAddr`): winning tickets go there,
    and quotes stay within what is in flight there. None: the duty `redemption` of this very node."""

    auth_webhook: str | None = Field(default=None, pattern=_URL_OR_NAME)
    """Asked before a gateway is told anything: an http or https URL, or the name (under `secrets`) of a secret that
    holds one. It is sent `{"id": "0x…"}`; status 200 lets the gateway in, and a `priceInfo` in the answer is the price
    of video for this gateway. None: every gateway is served."""

    smoke_account: EthAddress | None = None
    """Address of a gateway whose paid jobs prove the node: until one has passed on the release and the driver that run
    now, discovery answers nobody else. None: `smoke.withhold` of the fleet says; without that, everybody."""

    ticket: TicketSettings = TicketSettings()
    """What is asked of tickets."""

    @property
    def auth_webhook_secret(self) -> str | None:
        """The secret that holds the webhook's URL; None where the URL is said, or none is used."""
        return None if self.auth_webhook is None or "://" in self.auth_webhook else self.auth_webhook


class OrchestratorSettings(OrchestratorLayer):
    """Facing gateways."""

    service_uri: str = Field(pattern=_SERVICE_URI)
    """Public base URL, `https://host:port`: what gateways are told and what is registered on chain."""

    object_store: ObjectStoreSettings | None = None
    """An object store that gateways upload sources to and results are put into. None: results lie in this node's memory
    and gateways fetch them here."""

    @model_validator(mode="after")
    def _two_secrets(self) -> Self:
        before = self.worker_secret_before
        if before is None:
            return self
        if self.worker_secret is None:
            raise ValueError("`worker_secret_before` goes with `worker_secret`, the one that workers move to")
        if before.secret == self.worker_secret:
            raise ValueError(
                f"`worker_secret_before` names `{before.secret}`, which `worker_secret` is already: declare the new"
                " secret under a name of its own"
            )
        return self


class WorkerLayer(SpecModel):
    """Facing an orchestrator, as far as one layer says."""

    orchestrator: ListenAddress | None = None
    """`host:port` of the orchestrator's front door (`orchAddr`)."""

    secret: str | None = None
    """Name (under `secrets`) of the shared secret."""

    capacity: int | None = Field(default=None, ge=1)
    """Sessions offered. None: the transcoding duty's `max_sessions`."""


class WorkerSettings(WorkerLayer):
    """Facing an orchestrator."""

    orchestrator: ListenAddress
    """`host:port` of the orchestrator's front door (`orchAddr`)."""

    secret: str
    """Name (under `secrets`) of the shared secret."""
