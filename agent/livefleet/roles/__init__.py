"""Roles: which services a node runs, put together."""

from livefleet.roles.base import Role, RoleContext
from livefleet.roles.orchestrator import OrchestratorRole
from livefleet.roles.worker import WorkerRole

__all__ = ["OrchestratorRole", "Role", "RoleContext", "WorkerRole"]
