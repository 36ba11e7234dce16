"""Roles: which services a node runs, put together."""

from livefleet.roles.base import Role, RoleContext
from livefleet.roles.drain_report import drain_readings
from livefleet.roles.keykeeper import KeykeeperRole
from livefleet.roles.memory import open_ledger
from livefleet.roles.orchestrator import OrchestratorRole
from livefleet.roles.pull_mode import PullMode, pull_store
from livefleet.roles.redeemer import RedeemerRole
from livefleet.roles.reference_metrics import owner_labels, version_reading
from livefleet.roles.worker import WorkerRole

__all__ = [
    "KeykeeperRole",
    "OrchestratorRole",
    "PullMode",
    "RedeemerRole",
    "Role",
    "RoleContext",
    "WorkerRole",
    "drain_readings",
    "open_ledger",
    "owner_labels",
    "pull_store",
    "version_reading",
]
