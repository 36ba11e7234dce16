"""The fleet spec: what operators declare, read with positions and checked as a whole."""

from livefleet.spec.ai import AiDuty, ModelEntry, Pipeline
from livefleet.spec.declared_price import Currency, DeclaredPrice
from livefleet.spec.digest import node_digest, to_yaml
from livefleet.spec.drain import (
    DEFAULT_DEADLINE_S,
    DrainOrder,
    DrainOrders,
    DrainReport,
    DrainScope,
    DrainState,
    load_drain,
    save_drain,
)
from livefleet.spec.fleet import FleetSpec, HostLayer, HostSettings, ProfileLayer, ReleaseSettings, SshSettings
from livefleet.spec.gpu import DriverSettings, GpuSelection
from livefleet.spec.key_uses import KeyUse, does_media_work, key_uses
from livefleet.spec.keykeeper import KeykeeperKeys, KeykeeperSettings
from livefleet.spec.keys import KeyRef, KeyRole, NodeKey, NodeRemoteKey, RemoteKey, SecretRef
from livefleet.spec.ledger import LedgerDuty
from livefleet.spec.load import Fleet, load_fleet, load_node, load_profile
from livefleet.spec.monitoring import Monitoring, ServiceSettings
from livefleet.spec.network import Network, NetworkName, RpcEndpoint, Subgraph
from livefleet.spec.node import NodePaths, NodeSpec
from livefleet.spec.node_prices import declared_prices, needs_rate, reprice, restart_needed
from livefleet.spec.object_store import ObjectStoreSettings
from livefleet.spec.on_chain import FeesWithdrawal, GasSettings, OnChain, StakeTransfer
from livefleet.spec.pricing import FeedSettings, Prices, TicketSettings
from livefleet.spec.problem import Problem, SpecError
from livefleet.spec.profile import Origin, Origins
from livefleet.spec.redeemer import RedeemerSettings
from livefleet.spec.roles import (
    BatchMode,
    Duties,
    OrchestratorSettings,
    RedemptionDuty,
    RewardDuty,
    Role,
    TranscodingDuty,
    WorkerSettings,
)
from livefleet.spec.schema import fleet_schema
from livefleet.spec.secrets import SecretToSend
from livefleet.spec.self_benchmark import SelfBenchmark
from livefleet.spec.store import StoreSettings, TlsMode
from livefleet.spec.weights import WeightsSettings

__all__ = [
    "DEFAULT_DEADLINE_S",
    "AiDuty",
    "BatchMode",
    "Currency",
    "DeclaredPrice",
    "DrainOrder",
    "DrainOrders",
    "DrainReport",
    "DrainScope",
    "DrainState",
    "DriverSettings",
    "Duties",
    "FeedSettings",
    "FeesWithdrawal",
    "Fleet",
    "FleetSpec",
    "GasSettings",
    "GpuSelection",
    "HostLayer",
    "HostSettings",
    "KeyRef",
    "KeyRole",
    "KeyUse",
    "KeykeeperKeys",
    "KeykeeperSettings",
    "LedgerDuty",
    "ModelEntry",
    "Monitoring",
    "Network",
    "NetworkName",
    "NodeKey",
    "NodePaths",
    "NodeRemoteKey",
    "NodeSpec",
    "ObjectStoreSettings",
    "OnChain",
    "OrchestratorSettings",
    "Origin",
    "Origins",
    "Pipeline",
    "Prices",
    "Problem",
    "ProfileLayer",
    "RedeemerSettings",
    "RedemptionDuty",
    "ReleaseSettings",
    "RemoteKey",
    "RewardDuty",
    "Role",
    "RpcEndpoint",
    "SecretRef",
    "SecretToSend",
    "SelfBenchmark",
    "ServiceSettings",
    "SpecError",
    "SshSettings",
    "StakeTransfer",
    "StoreSettings",
    "Subgraph",
    "TicketSettings",
    "TlsMode",
    "TranscodingDuty",
    "WeightsSettings",
    "WorkerSettings",
    "declared_prices",
    "does_media_work",
    "fleet_schema",
    "key_uses",
    "load_drain",
    "load_fleet",
    "load_node",
    "load_profile",
    "needs_rate",
    "node_digest",
    "reprice",
    "restart_needed",
    "save_drain",
    "to_yaml",
]
