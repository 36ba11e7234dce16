"""The whole fleet as the operator writes it: one file, in layers that are merged into one NodeSpec a host."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from livefleet.spec.ai import ModelEntry
from livefleet.spec.central import CentralMonitoring, MonitorLayer
from livefleet.spec.gpu import CardName, DriverSettings, GpuSelection
from livefleet.spec.gpu_health import GpuHealthSettings
from livefleet.spec.host_safety import FirewallSettings, MachineSettings
from livefleet.spec.keykeeper import KeykeeperLayer
from livefleet.spec.keys import KeyRef, SecretRef
from livefleet.spec.model import SpecModel
from livefleet.spec.monitoring import Monitoring, ServiceSettings
from livefleet.spec.network import Network
from livefleet.spec.on_chain import OnChain
from livefleet.spec.pricing import Prices
from livefleet.spec.pull import PullSettings
from livefleet.spec.redeemer import RedeemerLayer
from livefleet.spec.release import ReleaseSettings
from livefleet.spec.roles import Duties, OrchestratorLayer, Role, WorkerLayer
from livefleet.spec.rollout import RolloutSettings
from livefleet.spec.smoke import SmokeSettings
from livefleet.spec.store import StoreLayer

__all__ = [
    "LOCAL",
    "FleetSpec",
    "GroupLayer",
    "HostLayer",
    "HostSettings",
    "Layer",
    "Name",
    "ProfileLayer",
    "ReleaseSettings",
    "SshSettings",
]

LOCAL = "@local"
"""The address that means this very machine, without ssh."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""A name that is also fit to be a file's: letters, digits, `.`, `_`, `-`, at most 63."""


class SshSettings(SpecModel):
    """How the operator's machine reaches a host. Never sent to it."""

    user: str | None = None
    """Login name. None: what the operator's ssh configuration says, else the operator's own."""

    port: int = Field(default=22, ge=1, le=65535)
    """Port of the ssh server."""

    key: str | None = None
    """Private key file on the operator's machine; relative paths start at the fleet file, `~` is understood. None:
    agent or default keys."""

    known_hosts: str | None = None
    """File of known host keys, likewise. None: the operator's own."""

    sudo: bool = False
    """Become root by sudo after login. Needed unless `user` is root."""

    connect_timeout_s: float = Field(default=15.0, gt=0)
    """How long a connection may take before the host counts as unreachable."""

    jump: str | None = None
    """`user@host:port` to go through. None: straight."""


class Layer(SpecModel):
    """Any part of a node's settings, given for many hosts or for one. What is left out comes from the layers below."""

    root: str | None = None
    """Folder that holds the node's whole tree; `/` unless said, a folder in demos and tests. A host that is `@local`
    may have a relative one: it starts at the fleet file."""

    network: Network | None = None
    """The chain, where it differs from the fleet's: for example an RPC endpoint nearer to these hosts."""

    role: Role | None = None
    """`orchestrator`, `worker`, `redeemer`, `keykeeper` or `monitor`."""

    duties: Duties | None = None
    """What the host does. A list says which duties are on, whatever the layers below say, and keeps their settings; a
    mapping adds to the layers below, and `reward: false` takes one away."""

    gpus: GpuSelection | None = None
    """`all` present ones, `none`, or a list of exact UUIDs."""

    cards: tuple[CardName, ...] | None = None
    """Cards that hosts are meant to have, by their names in `livefleet profiles list`; with others they are not
    touched. Profiles of cards say it; an empty list takes it back."""

    driver: DriverSettings | None = None
    """The NVIDIA driver."""

    gpu_health: GpuHealthSettings | None = None
    """What is done about faults of the GPUs, where it is something else than the built-in table says."""

    orchestrator: OrchestratorLayer | None = None
    """Facing gateways; for the role orchestrator."""

    worker: WorkerLayer | None = None
    """Facing an orchestrator; for the role worker."""

    redeemer: RedeemerLayer | None = None
    """Redeeming for orchestrators; for the role redeemer."""

    keykeeper: KeykeeperLayer | None = None
    """Keeping keys without media; for the role keykeeper."""

    monitor: MonitorLayer | None = None
    """The door for hosts that push; for the role monitor."""

    on_chain: OnChain | None = None
    """What is to stand on chain for the orchestrator."""

    store: StoreLayer | None = None
    """A database that nodes share, in place of a file each."""

    pull: PullSettings | None = None
    """Pull mode: the host fetches newer settings by itself."""

    prices: Prices | None = None
    """What work costs."""

    models: tuple[ModelEntry, ...] | None = None
    """AI models; a list replaces the one of the layers below."""

    monitoring: Monitoring | None = None
    """Health endpoints and logs."""

    service: ServiceSettings | None = None
    """How the agent is kept running."""

    ssh: SshSettings | None = None
    """How hosts are reached."""

    release: ReleaseSettings | None = None
    """Where hosts get the agent from."""

    firewall: FirewallSettings | None = None
    """Which connections hosts accept; just the mode, or a mapping."""

    machine: MachineSettings | None = None
    """Hosts' clock, logs and kernel settings; just the mode, or a mapping."""


class ProfileLayer(Layer):
    """A profile file: a layer that many fleets share."""

    description: str | None = None
    """One line for people."""

    extends: Name | tuple[Name, ...] | None = None
    """The profile that this one builds on, by name, or several of which the later wins; values here win over theirs. A
    profile of your own may extend the one of the same name that comes with livefleet."""


class GroupLayer(Layer):
    """Defaults, or a group's settings."""

    profile: Name | tuple[Name, ...] | None = None
    """Name of the profile (`profiles/NAME.yaml`) that gives further values, or a list of which the later wins: what the
    host does, and the cards that it has, as `[solo, rtx-3060]`."""


class HostLayer(GroupLayer):
    """One host."""

    address: str = Field(min_length=1, pattern=r"^\S+$")
    """Host name or IP address to reach it by ssh, or `@local` for this machine."""

    groups: tuple[Name, ...] = ()
    """Groups that it belongs to; where two give the same value the later one wins."""


class FleetSpec(SpecModel):
    """fleet.yaml. Values are merged host > groups > profile > defaults; mappings deeply, lists and scalars whole."""

    version: Literal[1] = 1
    """Version of this format."""

    name: Name
    """Name of the fleet; labels metrics and tells fleets apart."""

    network: Network = Network()
    """The chain, as a mapping or just by its name."""

    keys: dict[Name, KeyRef] = {}
    """Ethereum keys by name; where they are, never what they are."""

    secrets: dict[Name, SecretRef] = {}
    """Other secrets by name, such as the one workers join with."""

    smoke: SmokeSettings = SmokeSettings()
    """Small paid jobs that show whether hosts earn."""

    monitoring: CentralMonitoring = CentralMonitoring()
    """What hosts with the role `monitor` run."""

    defaults: GroupLayer = GroupLayer()
    """For every host."""

    groups: dict[Name, GroupLayer] = {}
    """For the hosts that name them."""

    rollout: RolloutSettings = RolloutSettings()
    """How `livefleet rollout` takes a change over the hosts."""

    hosts: dict[Name, HostLayer]
    """The machines, by the name that commands, logs and metrics use."""

    @field_validator("hosts")
    @classmethod
    def _some(cls, hosts: dict[str, HostLayer]) -> dict[str, HostLayer]:
        if not hosts:
            raise ValueError("no host is declared")
        return hosts


class HostSettings(SpecModel):
    """The operator's side of one host, merged: what deploys need and the host need not know. Paths are absolute."""

    name: str
    address: str
    groups: tuple[str, ...] = ()
    profile: str | None = None
    ssh: SshSettings = SshSettings()
    release: ReleaseSettings = ReleaseSettings()
    firewall: FirewallSettings = FirewallSettings()
    machine: MachineSettings = MachineSettings()
    trust: str | None = None  # file of the bundle's root, where the host pulls

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, reached without ssh."""
        return self.address == LOCAL
