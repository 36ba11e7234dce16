"""The fleet spec: what operators declare, read with positions and checked as a whole."""

from livefleet.spec.ai import AiDuty, ModelEntry, Pipeline
from livefleet.spec.gpu import DriverSettings, GpuSelection
from livefleet.spec.keys import KeyRef, NodeKey, SecretRef
from livefleet.spec.monitoring import Monitoring, ServiceSettings
from livefleet.spec.network import Network, NetworkName
from livefleet.spec.node import NodePaths, NodeSpec
from livefleet.spec.pricing import Prices, TicketSettings
from livefleet.spec.roles import (
    Duties,
    OrchestratorSettings,
    RedemptionDuty,
    RewardDuty,
    Role,
    TranscodingDuty,
    WorkerSettings,
)

__all__ = [
    "AiDuty",
    "DriverSettings",
    "Duties",
    "GpuSelection",
    "KeyRef",
    "ModelEntry",
    "Monitoring",
    "Network",
    "NetworkName",
    "NodeKey",
    "NodePaths",
    "NodeSpec",
    "OrchestratorSettings",
    "Pipeline",
    "Prices",
    "RedemptionDuty",
    "RewardDuty",
    "Role",
    "SecretRef",
    "ServiceSettings",
    "TicketSettings",
    "TranscodingDuty",
    "WorkerSettings",
]
