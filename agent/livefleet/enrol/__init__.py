"""First boot of a preconfigured host: it makes its identity, enrols, and takes its settings. See README.md."""

from livefleet.enrol.agent_service import SystemdAgent, UnmanagedAgent
from livefleet.enrol.client import EnrolClient, public_key_pin
from livefleet.enrol.durable import Owner, make_folder, write_durably
from livefleet.enrol.errors import EnrolError, HostFault
from livefleet.enrol.first_boot import FirstBootRun, Waits
from livefleet.enrol.identity import Identity, ensure_identity, load_identity
from livefleet.enrol.machine import AgentService, Finding, Machine, MachineFacts, Questions, Service
from livefleet.enrol.placing import Enrolment, EnrolPlaces, accepted, place
from livefleet.enrol.reporting import Reports, ReportSink, reports_of
from livefleet.enrol.screen import Screen, qr_lines
from livefleet.enrol.seeds import FoundSeed, SeedSources, Volumes
from livefleet.enrol.volumes import MountedVolumes

__all__ = [
    "AgentService",
    "EnrolClient",
    "EnrolError",
    "EnrolPlaces",
    "Enrolment",
    "Finding",
    "FirstBootRun",
    "FoundSeed",
    "HostFault",
    "Identity",
    "Machine",
    "MachineFacts",
    "MountedVolumes",
    "Owner",
    "Questions",
    "ReportSink",
    "Reports",
    "Screen",
    "SeedSources",
    "Service",
    "SystemdAgent",
    "UnmanagedAgent",
    "Volumes",
    "Waits",
    "accepted",
    "ensure_identity",
    "load_identity",
    "make_folder",
    "place",
    "public_key_pin",
    "qr_lines",
    "reports_of",
    "write_durably",
]
