"""The fleet spec: what operators declare, read with positions and checked as a whole."""

from livefleet.spec.ai import AiDuty, ModelEntry, Pipeline
from livefleet.spec.card import Card, Known
from livefleet.spec.card_check import card_warnings
from livefleet.spec.cards import CardTable, card_of, card_problems, card_table, cards
from livefleet.spec.central import CentralMonitoring, MonitoredHost, MonitorSettings
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
from livefleet.spec.examination import Examination, Finding, Grade
from livefleet.spec.extras import EXTRAS, Extra, extras_of, missing_extras, require_packages
from livefleet.spec.fleet import FleetSpec, HostLayer, HostSettings, ProfileLayer, SshSettings
from livefleet.spec.gpu import CardName, DriverRepository, DriverSettings, GpuFamily, GpuSelection
from livefleet.spec.gpu_health import GpuAction, GpuHealthSettings, GpuSign
from livefleet.spec.host_safety import FirewallSettings, MachineSettings, OpenPort
from livefleet.spec.image import (
    MANIFEST_IN_IMAGE,
    ROOT_PARTITION,
    ImageDisk,
    ImageDriver,
    ImageFile,
    ImageFormat,
    ImageManifest,
    ImagePackage,
    ImageRelease,
    ImageSource,
    ImageWheel,
    parse_manifest,
)
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
from livefleet.spec.monitored import EXPORTER_PORT
from livefleet.spec.monitoring import Monitoring, PushSettings, ScrapeDoor, SecretPlace, ServiceSettings
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
from livefleet.spec.release import ReleaseSettings
from livefleet.spec.resolved_profile import ResolvedProfile, profile_names, resolve_profile
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
from livefleet.spec.smoke_proof import SMOKE_TEXT_MOST, SmokeProof, SmokeProofs, load_smoke_proofs, save_smoke_proofs
from livefleet.spec.store import StoreSettings, TlsMode
from livefleet.spec.takeover import Effect, Effects, effects, take_over
from livefleet.spec.takeover_rules import Takeover
from livefleet.spec.troubles import Trouble
from livefleet.spec.unfinished import unfinished
from livefleet.spec.weights import WeightsSettings

__all__ = [
    "CREDENTIALS",
    "DEFAULT_DEADLINE_S",
    "EXPORTER_PORT",
    "EXTRAS",
    "MANIFEST_IN_IMAGE",
    "MODEL_ORDERS_FILE",
    "ROOT_PARTITION",
    "SMOKE_TEXT_MOST",
    "AiDuty",
    "BatchMode",
    "Card",
    "CardName",
    "CardTable",
    "CentralMonitoring",
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
    "Examination",
    "Extra",
    "FeedSettings",
    "FeesWithdrawal",
    "Finding",
    "FirewallSettings",
    "Fleet",
    "FleetSpec",
    "GasSettings",
    "GpuAction",
    "GpuFamily",
    "GpuHealthSettings",
    "GpuSelection",
    "GpuSign",
    "Grade",
    "HostLayer",
    "HostSettings",
    "ImageDisk",
    "ImageDriver",
    "ImageFile",
    "ImageFormat",
    "ImageManifest",
    "ImagePackage",
    "ImageRelease",
    "ImageSource",
    "ImageWheel",
    "KeyRef",
    "KeyRole",
    "KeyUse",
    "KeykeeperKeys",
    "KeykeeperSettings",
    "Known",
    "LedgerDuty",
    "MachineSettings",
    "ModelEntry",
    "ModelOrder",
    "ModelOrders",
    "ModelWish",
    "MonitorSettings",
    "MonitoredHost",
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
    "PushSettings",
    "RebootWindow",
    "RedeemerSettings",
    "RedemptionDuty",
    "ReleaseSettings",
    "RemoteKey",
    "ResolvedProfile",
    "RewardDuty",
    "Role",
    "RolloutSettings",
    "RpcEndpoint",
    "ScrapeDoor",
    "SecretPlace",
    "SecretRef",
    "SecretToSend",
    "SelfBenchmark",
    "ServiceSettings",
    "SessionPatch",
    "SmokeProof",
    "SmokeProofs",
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
    "Trouble",
    "WeightsSettings",
    "WorkerSettings",
    "card_of",
    "card_problems",
    "card_table",
    "card_warnings",
    "cards",
    "declared_prices",
    "does_media_work",
    "effects",
    "extras_of",
    "fleet_schema",
    "is_fleet_folder",
    "key_uses",
    "live_secret_paths",
    "load_drain",
    "load_fleet",
    "load_model_orders",
    "load_node",
    "load_profile",
    "load_smoke_proofs",
    "masked_urls",
    "missing_extras",
    "needs_rate",
    "node_digest",
    "own_fleet_folder",
    "own_profiles",
    "parse_manifest",
    "parse_node",
    "profile_names",
    "require_packages",
    "resolve_profile",
    "save_drain",
    "save_model_orders",
    "save_smoke_proofs",
    "slice_path",
    "take_over",
    "to_yaml",
    "unfinished",
]
