"""How the hosts are, by their own word: every admin endpoint asked at once, and compared with the spec."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from livefleet.control.node_parts import (
    AiWorkerPart,
    ChainPart,
    GpuHealthPart,
    HardwarePart,
    KeykeeperPart,
    LoadPart,
    ModelAccountsPart,
    ModelPart,
    PaymentsPart,
    PricesPart,
    RedeemerPart,
    ServerPart,
    WorkerPart,
)
from livefleet.control.remote import ask_local, ask_over_ssh
from livefleet.kernel import ExitCode, LivefleetError
from livefleet.spec import DrainReport, Fleet, node_digest

__all__ = ["Condition", "FleetStatus", "HostStatus", "NodeReport", "fleet_status", "host_status"]


class Condition(BaseModel):
    """One condition as the node reports it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    status: str
    reason: str = ""
    message: str = ""
    subject: str = ""
    since: float = 0.0
    gates_ready: bool = True
    advice: str = ""
    """What to do about just this; empty where the node has no better advice than the one for the condition."""


class NodeReport(BaseModel):
    """What /status says; a newer agent may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    name: str
    role: str
    digest: str
    ready: bool
    release: str = ""
    conditions: tuple[Condition, ...] = ()
    drain: DrainReport = DrainReport()
    started_at: float = 0.0
    server: ServerPart | None = None
    load: LoadPart | None = None
    payments: PaymentsPart | None = None
    prices: PricesPart | None = None
    chain: ChainPart | None = None
    worker: WorkerPart | None = None
    ai_worker: AiWorkerPart | None = None
    redeemer: RedeemerPart | None = None
    keykeeper: KeykeeperPart | None = None
    hardware: HardwarePart | None = None
    gpus: tuple[GpuHealthPart, ...] = ()
    models: tuple[ModelPart, ...] = ()
    model_accounts: ModelAccountsPart | None = None
    proposals: tuple[dict[str, Any], ...] = ()
    """Proposals that stand there, each as the text of its file; `chain.Proposal` checks them."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host: its report, or why there is none."""

    host: str
    role: str  # as declared
    declared_digest: str
    report: NodeReport | None = None
    error: str = ""

    @property
    def drifted(self) -> bool:
        """Whether the node runs another spec than the declared one."""
        return self.report is not None and self.report.digest != self.declared_digest

    @property
    def ready(self) -> bool:
        """Whether the node serves."""
        return self.report is not None and self.report.ready

    @property
    def faults(self) -> tuple[Condition, ...]:
        """Conditions that do not hold."""
        return tuple(c for c in self.report.conditions if c.status != "true") if self.report else ()


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """All asked hosts, in the fleet's order."""

    hosts: tuple[HostStatus, ...]

    @property
    def exit_code(self) -> ExitCode:
        """1 when a host cannot be asked or is not ready."""
        return ExitCode.DONE if all(host.ready for host in self.hosts) else ExitCode.PARTLY_FAILED


def fleet_status(fleet: Fleet, hosts: Sequence[str] = (), *, parallel: int = 16) -> FleetStatus:
    """Ask the named hosts, or all, `parallel` at a time. Raises BadInput for an unknown host."""
    for name in hosts:
        fleet.node(name)
    names = [name for name in fleet.hosts if not hosts or name in hosts]
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="status") as pool:
        return FleetStatus(hosts=tuple(pool.map(lambda name: host_status(fleet, name), names)))


def host_status(fleet: Fleet, name: str) -> HostStatus:
    """Ask one host."""
    node, settings = fleet.node(name), fleet.host(name)
    digest = node_digest(node)
    listen = node.monitoring.admin_listen
    try:
        text = ask_local(listen, "/status") if settings.is_local else ask_over_ssh(settings, listen, "/status")
        report = NodeReport.model_validate_json(text)
    except LivefleetError as error:
        return HostStatus(name, node.role.value, digest, error=str(error))
    except ValidationError as error:
        return HostStatus(name, node.role.value, digest, error=f"the answer is no status: {error.errors()[0]['msg']}")
    if report.name != node.name:
        return HostStatus(
            name, node.role.value, digest, error=f"the node there calls itself {report.name}; check admin_listen"
        )
    return HostStatus(name, node.role.value, digest, report=report)
