"""One file a step. Each is a pure function: facts in, commands out."""

from deploys.steps.agent import agent
from deploys.steps.config import SERVICE_USER, config, node_files
from deploys.steps.drain import drain
from deploys.steps.driver import driver
from deploys.steps.files import HostFile, changed_files, difference, put_script
from deploys.steps.packages import packages
from deploys.steps.preflight import ServiceKind, choose_service, preflight
from deploys.steps.remove import remove
from deploys.steps.service import service, stamp_of, supervisor_command
from deploys.steps.unit import UNIT_PATH, render_unit, supervisor_file, unit_file
from deploys.steps.verify import admin_address, verify, wait_s

__all__ = [
    "SERVICE_USER",
    "UNIT_PATH",
    "HostFile",
    "ServiceKind",
    "admin_address",
    "agent",
    "changed_files",
    "choose_service",
    "config",
    "difference",
    "drain",
    "driver",
    "node_files",
    "packages",
    "preflight",
    "put_script",
    "remove",
    "render_unit",
    "service",
    "stamp_of",
    "supervisor_command",
    "supervisor_file",
    "unit_file",
    "verify",
    "wait_s",
]
