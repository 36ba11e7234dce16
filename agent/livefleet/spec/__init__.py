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
from livefleet.spec.gpu import DriverRepository, DriverSettings, GpuFamily, GpuSelection
from livefleet.spec.host_safety import FirewallSettings, MachineSettings, OpenPort
from livefleet.spec.key_uses import KeyUse, does_media_work, key_uses
from livefleet.spec.keykeeper import KeykeeperKeys, KeykeeperSettings
from livefleet.spec.keys import KeyRef, KeyRole, NodeKey, NodeRemoteKey, RemoteKey, SecretRef
from livefleet.spec.ledger import LedgerDuty
from livefleet.spec.live_secrets import live_secret_paths
from livefleet.spec.load import Fleet, load_fleet, load_node, load_profile, parse_node
from livefleet.spec.masked import masked_urls
from livefleet.spec.model_orders import (
    MODEL_ORDERS_FILE,
    ModelOrder,
    ModelOrders,
    ModelWish,
    load_model_orders,
    save_model_orders,
)
from livefleet.spec.monitoring import Monitoring, SecretPlace, ServiceSettings
from livefleet.spec.network import Network, NetworkName, RpcEndpoint, Subgraph
from livefleet.spec.node import NodePaths, NodeSpec
from livefleet.spec.node_prices import declared_prices, needs_rate
from livefleet.spec.object_store import ObjectStoreSettings
from livefleet.spec.on_chain import FeesWithdrawal, GasSettings, OnChain, StakeTransfer
from livefleet.spec.own_files import is_fleet_folder, own_fleet_folder, own_profiles
from livefleet.spec.pricing import FeedSettings, Prices, TicketSettings
from livefleet.spec.problem import Problem, SpecError
from livefleet.spec.profile import Origin, Origins
from livefleet.spec.pull import PullSettings, slice_path
from livefleet.spec.reboot_window import RebootWindow
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
from livefleet.spec.rollout import RolloutSettings
from livefleet.spec.schema import fleet_schema
from livefleet.spec.secret_command import CommandOutputs
from livefleet.spec.secrets import CREDENTIALS, SecretToSend
from livefleet.spec.self_benchmark import SelfBenchmark
from livefleet.spec.session_patch import SessionPatch
from livefleet.spec.smoke import SmokeSettings
from livefleet.spec.store import StoreSettings, TlsMode
from livefleet.spec.takeover import Effect, Effects, effects, take_over
from livefleet.spec.takeover_rules import Takeover
from livefleet.spec.unfinished import unfinished
from livefleet.spec.weights import WeightsSettings

__all__ = [
    "CREDENTIALS",
    "DEFAULT_DEADLINE_S",
    "MODEL_ORDERS_FILE",
    "AiDuty",
    "BatchMode",
    "CommandOutputs",
    "Currency",
    "DeclaredPrice",
    "DrainOrder",
    "DrainOrders",
    "DrainReport",
    "DrainScope",
    "DrainState",
    "DriverRepository",
    "DriverSettings",
    "Duties",
    "Effect",
    "Effects",
    "FeedSettings",
    "FeesWithdrawal",
    "FirewallSettings",
    "Fleet",
    "FleetSpec",
    "GasSettings",
    "GpuFamily",
    "GpuSelection",
    "HostLayer",
    "HostSettings",
    "KeyRef",
    "KeyRole",
    "KeyUse",
    "KeykeeperKeys",
    "KeykeeperSettings",
    "LedgerDuty",
    "MachineSettings",
    "ModelEntry",
    "ModelOrder",
    "ModelOrders",
    "ModelWish",
    "Monitoring",
    "Network",
    "NetworkName",
    "NodeKey",
    "NodePaths",
    "NodeRemoteKey",
    "NodeSpec",
    "ObjectStoreSettings",
    "OnChain",
    "OpenPort",
    "OrchestratorSettings",
    "Origin",
    "Origins",
    "Pipeline",
    "Prices",
    "Problem",
    "ProfileLayer",
    "PullSettings",
    "RebootWindow",
    "RedeemerSettings",
    "RedemptionDuty",
    "ReleaseSettings",
    "RemoteKey",
    "RewardDuty",
    "Role",
    "RolloutSettings",
    "RpcEndpoint",
    "SecretPlace",
    "SecretRef",
    "SecretToSend",
    "SelfBenchmark",
    "ServiceSettings",
    "SessionPatch",
    "SmokeSettings",
    "SpecError",
    "SshSettings",
    "StakeTransfer",
    "StoreSettings",
    "Subgraph",
    "Takeover",
    "TicketSettings",
    "TlsMode",
    "TranscodingDuty",
    "WeightsSettings",
    "WorkerSettings",
    "declared_prices",
    "does_media_work",
    "effects",
    "fleet_schema",
    "is_fleet_folder",
    "key_uses",
    "live_secret_paths",
    "load_drain",
    "load_fleet",
    "load_model_orders",
    "load_node",
    "load_profile",
    "masked_urls",
    "needs_rate",
    "node_digest",
    "own_fleet_folder",
    "own_profiles",
    "parse_node",
    "save_drain",
    "save_model_orders",
    "slice_path",
    "take_over",
    "to_yaml",
    "unfinished",
]
