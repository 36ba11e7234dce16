"""The composition root: the only place that knows all parts."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from livefleet import __version__
from livefleet.hardware import HardwareSampler, MachineMemory
from livefleet.health import AdminServer, GpuCollector, NodeCollector, NodeStatus, Reading, ReadingCollector
from livefleet.kernel import BadInput, Clock, Condition, ConditionBoard, Status, SystemClock
from livefleet.kernel.systemd import notify, watchdog_interval_s
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import DrainResource, GpuResource
from livefleet.roles import (
    KeykeeperRole,
    OrchestratorRole,
    RedeemerRole,
    Role,
    RoleContext,
    WorkerRole,
    drain_readings,
    open_ledger,
    owner_labels,
    version_reading,
)
from livefleet.spec import NodeSpec, load_node, node_digest, reprice, restart_needed
from livefleet.spec import Role as RoleName

__all__ = ["Agent"]

log = logging.getLogger(__name__)


class Agent:
    """One node: hardware, role, health. `run` lasts until `stop` is set, then drains."""

    def __init__(self, spec: NodeSpec, *, digest: str, release: str, clock: Clock | None = None) -> None:
        self._spec = spec
        self._digest = digest
        self._release = release
        self._clock = clock or SystemClock()
        self._started_at = self._clock.now()
        self._board = ConditionBoard(self._clock)
        self._board.on_change(_log_change)
        self._role: Role | None = None
        self._drain: DrainResource | None = None
        self._drain_loop: ReconcileLoop[Any] | None = None

    async def run(self, stop: asyncio.Event, *, on_listening: Callable[[str], None] = lambda _: None) -> None:
        """Serve until `stop`. The admin endpoint is up first, so that a start which hangs can be looked at."""
        spec = self._spec
        async with HardwareSampler(self._clock, every_s=spec.monitoring.sample_every_s) as sampler:
            ledger = open_ledger(spec, MachineMemory(sampler))
            self._role = _role_of(RoleContext(spec, self._board, self._clock, sampler, ledger))
            registry = CollectorRegistry()
            for collector in (
                NodeCollector(self.status),
                GpuCollector(lambda: sampler.latest),
                ReadingCollector(self._readings, owner_labels(spec, socket.gethostname())),
            ):
                registry.register(collector)
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
            gpus = ReconcileLoop(
                GpuResource(sampler, spec.gpus, spec.driver, every_s=spec.monitoring.sample_every_s), self._board
            )
            self._drain = DrainResource(spec.paths.state, self._role, self._clock)
            self._drain_loop = ReconcileLoop(self._drain, self._board)
            await self._drain_loop.once()  # a drained node takes nothing, not even at its start
            async with AdminServer(spec.monitoring.admin_listen, self.status, registry) as admin:
                on_listening(admin.address)
                notify("READY=1")
                await _until(stop, sampler.run, gpus.run, self._drain_loop.run, self._watchdog, self._serve)
                log.info("agent.stopped")

    def reload(self, node: Path) -> None:
        """Read node.yaml again and go on with its prices. The condition `SpecCurrent` tells what needs a restart.

        Requests to drain are looked at as well.

        A file that is wrong changes nothing. Everything happens at once, on the loop's thread.
        """
        if self._drain_loop is not None:
            self._drain_loop.nudge()
        try:
            newer = load_node(node)
            repriced = reprice(self._spec, newer)
            if self._role is not None:
                self._role.reprice(repriced)
        except BadInput as error:
            self._board.report(_spec_condition("NotTaken", f"the node goes on with what it had: {error}"))
            return
        self._spec, self._digest = repriced, node_digest(repriced)
        log.info("spec.reloaded", extra={"digest": self._digest})
        if others := restart_needed(repriced, newer):
            text = f"prices are as declared; restart the node for {', '.join(others)}"
            self._board.report(_spec_condition("NeedsRestart", text))
        else:
            self._board.report(_spec_condition("", f"the node runs what {node} says"))

    def status(self) -> NodeStatus:
        """The node at this moment."""
        role = self._role
        required = ("GpuDriver", *(role.required if role else ()))
        return NodeStatus(
            version=__version__,
            fleet=self._spec.fleet,
            name=self._spec.name,
            role=self._spec.role.value,
            network=self._spec.network.name.value,
            digest=self._digest,
            release=self._release,
            started_at=self._started_at,
            ready=self._board.is_ready(required),
            blocking=self._board.blocking(),
            conditions=self._board.all(),
            parts={**(role.parts() if role else {}), **self._drain_part()},
        )

    def _readings(self) -> list[Reading]:
        drain = drain_readings(self._drain.report()) if self._drain else ()
        return [version_reading(self._spec), *(self._role.readings() if self._role else ()), *drain]

    def _drain_part(self) -> dict[str, Any]:
        return {} if self._drain is None else {"drain": self._drain.report().model_dump(mode="json")}

    async def _serve(self) -> None:
        assert self._role is not None
        async with self._role:
            await self._role.run()

    async def _watchdog(self) -> None:
        interval_s = watchdog_interval_s()
        if interval_s is None:
            return
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval_s)


def _spec_condition(fault: str, text: str) -> Condition:
    status = Status.FALSE if fault else Status.TRUE
    return Condition("SpecCurrent", status, fault or "Taken", text, gates_ready=False)


def _role_of(context: RoleContext) -> Role:
    match context.spec.role:
        case RoleName.ORCHESTRATOR:
            return OrchestratorRole(context)
        case RoleName.WORKER:
            return WorkerRole(context)
        case RoleName.REDEEMER:
            return RedeemerRole(context)
        case RoleName.KEYKEEPER:
            return KeykeeperRole(context)
        case RoleName.MONITOR:
            raise BadInput("the role `monitor` runs no agent duties of its own yet; declare orchestrator or worker")


async def _until(stop: asyncio.Event, *duties: Callable[[], Awaitable[None]]) -> None:
    """Run the duties until `stop` is set; an error of one of them ends all and is raised."""
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(_as_coroutine(duty), name=getattr(duty, "__qualname__", "duty")) for duty in duties
        ]
        await stop.wait()  # a failing duty cancels this wait through the group
        log.info("agent.stopping")
        notify("STOPPING=1")  # before draining, during which nobody feeds the watchdog
        for task in running:
            task.cancel()


async def _as_coroutine(duty: Callable[[], Awaitable[None]]) -> None:
    await duty()


def _log_change(after: Condition, before: Condition | None) -> None:
    level = logging.INFO if after.status.value == "true" else logging.WARNING
    log.log(
        level,
        "condition.changed",
        extra={
            "condition": after.name,
            "subject": after.subject,
            "status": after.status.value,
            "reason": after.reason,
            "text": after.message,
            "was": before.status.value if before else None,
        },
    )
