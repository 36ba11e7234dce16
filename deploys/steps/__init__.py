"""One file a step. Each is a pure function: facts in, commands out."""

from deploys.steps.agent import agent
from deploys.steps.config import MAKE_USER, SERVICE_USER, config, node_files
from deploys.steps.drain import drain
from deploys.steps.driver import driver
from deploys.steps.driver_problems import driver_problems
from deploys.steps.driver_script import Service as DriverService
from deploys.steps.driver_script import change_script, run_script
from deploys.steps.driver_wish import Wish, wish_of
from deploys.steps.files import HostFile, changed_files, difference, put_script
from deploys.steps.firewall import FIREWALL_PATHS, firewall, firewall_files, needs_nft, render_firewall, ssh_ports
from deploys.steps.journal import Deed, DeedOutcome, journal_line, operator
from deploys.steps.lock import giving_back, locked_by_another, taking
from deploys.steps.machine import MACHINE_PATHS, TIME_SERVICE, machine, needs_time_service
from deploys.steps.monitoring import DROP_INS, missing_packages, monitoring
from deploys.steps.packages import packages
from deploys.steps.preflight import ServiceKind, choose_service, preflight
from deploys.steps.remove import remove
from deploys.steps.rollback import WENT_BACK, after_failure, rollback
from deploys.steps.secret_place import fits_secret_place, leftovers
from deploys.steps.service import TOLD, service, supervisor_command
from deploys.steps.stamp import stamp_of
from deploys.steps.takeover import AgentAction, AgentChange, agent_change, lasting
from deploys.steps.torch import TorchChoice, choose_torch, coming_driver
from deploys.steps.unit import UNIT_PATH, render_unit, supervisor_file, unit_file
from deploys.steps.verify import admin_address, verify, wait_s

__all__ = [
    "DROP_INS",
    "FIREWALL_PATHS",
    "MACHINE_PATHS",
    "MAKE_USER",
    "SERVICE_USER",
    "TIME_SERVICE",
    "TOLD",
    "UNIT_PATH",
    "WENT_BACK",
    "AgentAction",
    "AgentChange",
    "Deed",
    "DeedOutcome",
    "DriverService",
    "HostFile",
    "ServiceKind",
    "TorchChoice",
    "Wish",
    "admin_address",
    "after_failure",
    "agent",
    "agent_change",
    "change_script",
    "changed_files",
    "choose_service",
    "choose_torch",
    "coming_driver",
    "config",
    "difference",
    "drain",
    "driver",
    "driver_problems",
    "firewall",
    "firewall_files",
    "fits_secret_place",
    "giving_back",
    "journal_line",
    "lasting",
    "leftovers",
    "locked_by_another",
    "machine",
    "missing_packages",
    "monitoring",
    "needs_nft",
    "needs_time_service",
    "node_files",
    "operator",
    "packages",
    "preflight",
    "put_script",
    "remove",
    "render_firewall",
    "render_unit",
    "rollback",
    "run_script",
    "service",
    "ssh_ports",
    "stamp_of",
    "supervisor_command",
    "supervisor_file",
    "taking",
    "unit_file",
    "verify",
    "wait_s",
    "wish_of",
]
