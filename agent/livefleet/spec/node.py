"""One host's slice of the fleet: what apply renders and the agent parses."""

import operator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, model_validator

from livefleet.spec.ai import ModelEntry
from livefleet.spec.central import MonitorSettings
from livefleet.spec.gpu import CardName, DriverSettings, GpuSelection
from livefleet.spec.gpu_health import GpuHealthSettings
from livefleet.spec.keykeeper import KeykeeperSettings
from livefleet.spec.keys import NodeKey
from livefleet.spec.model import SpecModel
from livefleet.spec.monitoring import Monitoring, ServiceSettings
from livefleet.spec.network import Network
from livefleet.spec.on_chain import OnChain
from livefleet.spec.pricing import Prices
from livefleet.spec.pull import PullSettings
from livefleet.spec.redeemer import RedeemerSettings
from livefleet.spec.roles import Duties, OrchestratorSettings, Role, WorkerSettings
from livefleet.spec.store import StoreSettings

__all__ = ["NodePaths", "NodeSpec"]


class NodePaths:
    """Where the node keeps things, all under `root` (`/` on a real host)."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "etc/livefleet"
        self.node_yaml = self.config / "node.yaml"
        self.state = self.root / "var/lib/livefleet"
        self.keys = self.state / "keys"
        self.store = self.state / "store.sqlite3"
        self.ledger = self.state / "ledger.sqlite3"
        self.run = self.root / "run/livefleet"
        self.releases = self.root / "opt/livefleet/releases"
        self.current = self.root / "opt/livefleet/current"
        self.log = self.root / "var/log/livefleet"

    def resolve(self, path: str) -> Path:
        """A path of the spec: absolute as it is, relative from the state folder."""
        return Path(path) if PurePosixPath(path).is_absolute() else self.state / path


class NodeSpec(SpecModel):
    """Everything that one node must know, and nothing of other hosts."""

    version: Literal[1] = 1
    fleet: str
    """Name of the fleet."""

    name: str
    """Name of the host within it."""

    root: str = "/"
    """Folder that holds the node's whole tree; `/` on a real host, a folder in demos and tests."""

    profile: str | None = None
    """The profile that gave defaults; told in /status."""

    network: Network = Network()
    role: Role
    duties: Duties = Duties()
    gpus: GpuSelection = "all"
    cards: tuple[CardName, ...] = Field(default=(), exclude_if=operator.not_)
    """Cards that the host is meant to have, by their names in the table of cards. Empty: any."""

    driver: DriverSettings = DriverSettings()
    gpu_health: GpuHealthSettings = Field(
        default=GpuHealthSettings(), exclude_if=partial(operator.eq, GpuHealthSettings())
    )
    """What is done about faults of the GPUs, where it is something else than the built-in table says."""

    orchestrator: OrchestratorSettings | None = None
    """Required for the role orchestrator."""

    worker: WorkerSettings | None = None
    """Required for the role worker."""

    redeemer: RedeemerSettings | None = None
    """Required for the role redeemer."""

    keykeeper: KeykeeperSettings | None = None
    """Required for the role keykeeper."""

    monitor: MonitorSettings | None = None
    """For the role monitor: who pushes to it, and the hosts that it knows."""

    on_chain: OnChain | None = None
    """What is to stand on chain for the orchestrator. None: nothing of it is looked at."""

    store: StoreSettings | None = None
    """The database that payments are kept in. None: a file of the node's own."""

    pull: PullSettings | None = None
    """Where the node looks for newer settings. None: it is told by `apply` alone."""

    prices: Prices = Prices()
    models: tuple[ModelEntry, ...] = ()
    monitoring: Monitoring = Monitoring()
    service: ServiceSettings = ServiceSettings()
    keys: dict[str, NodeKey] = {}
    """Only the keys that this node uses."""

    secrets: dict[str, str] = {}
    """Secret name to file on the host; only those that this node uses."""

    @property
    def shared_store(self) -> StoreSettings | None:
        """The database, where the node is one that keeps payments."""
        keeps = self.network.on_chain and self.role in (Role.ORCHESTRATOR, Role.REDEEMER, Role.KEYKEEPER)
        return self.store if keeps else None

    @property
    def paths(self) -> NodePaths:
        """The node's folders."""
        return NodePaths(self.root)

    @model_validator(mode="after")
    def _role_has_its_settings(self) -> "NodeSpec":
        if self.role is Role.ORCHESTRATOR and self.orchestrator is None:
            raise ValueError("role orchestrator needs `orchestrator:` with at least service_uri")
        if self.role is Role.WORKER and self.worker is None:
            raise ValueError("role worker needs `worker:` with orchestrator and secret")
        if self.role is Role.REDEEMER and self.redeemer is None:
            raise ValueError("role redeemer needs `redeemer:` with key")
        if self.role is Role.KEYKEEPER and self.keykeeper is None:
            raise ValueError("role keykeeper needs `keykeeper:` with orchestrator and keys")
        return self
