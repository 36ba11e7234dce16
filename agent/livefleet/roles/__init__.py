"""Roles: which services a node runs, put together. Each is imported when it is asked for: a node has one."""

from typing import TYPE_CHECKING

from livefleet.kernel.late import late_names
from livefleet.roles.base import Role, RoleContext
from livefleet.roles.drain_report import drain_readings
from livefleet.roles.memory import open_ledger
from livefleet.roles.packages import load_packages
from livefleet.roles.reference_metrics import owner_labels, version_reading

if TYPE_CHECKING:
    from livefleet.roles.keykeeper import KeykeeperRole
    from livefleet.roles.monitor import MonitorRole
    from livefleet.roles.orchestrator import OrchestratorRole
    from livefleet.roles.pull_mode import PullMode, pull_store
    from livefleet.roles.redeemer import RedeemerRole
    from livefleet.roles.worker import WorkerRole
else:
    __getattr__ = late_names(
        __name__,
        {
            "KeykeeperRole": "livefleet.roles.keykeeper",
            "MonitorRole": "livefleet.roles.monitor",
            "OrchestratorRole": "livefleet.roles.orchestrator",
            "PullMode": "livefleet.roles.pull_mode",
            "RedeemerRole": "livefleet.roles.redeemer",
            "WorkerRole": "livefleet.roles.worker",
            "pull_store": "livefleet.roles.pull_mode",
        },
    )

__all__ = [
    "KeykeeperRole",
    "MonitorRole",
    "OrchestratorRole",
    "PullMode",
    "RedeemerRole",
    "Role",
    "RoleContext",
    "WorkerRole",
    "drain_readings",
    "load_packages",
    "open_ledger",
    "owner_labels",
    "pull_store",
    "version_reading",
]
