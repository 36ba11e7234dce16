"""The composition root: the only place that knows all parts."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.routing import BaseRoute

from livefleet import __version__, roles
from livefleet.enrol import reports_of
from livefleet.hardware import DevicesAside, GpuSample, HardwareSampler, KernelLog, MachineMemory
from livefleet.health import (
    AdminServer,
    GpuCollector,
    HostCollector,
    NodeCollector,
    NodeStatus,
    Reading,
    ReadingCollector,
)
from livefleet.kernel import BadInput, Clock, Condition, ConditionBoard, Status, SystemClock
from livefleet.kernel.incarnation import boot_id
from livefleet.kernel.systemd import notify, watchdog_interval_s
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import DrainResource, GpuHealthResource, GpuResource, Takeover
from livefleet.roles import Role, RoleContext, drain_readings, open_ledger, owner_labels, version_reading
from livefleet.roles.gpu_health_report import gpu_health_part, gpu_health_readings
from livefleet.roles.hardware_report import hardware_part
from livefleet.roles.monitored import Monitored
from livefleet.roles.set_aside import WithoutSickDevices
from livefleet.spec import NodeSpec, effects, load_node, node_digest, take_over
from livefleet.spec import Role as RoleName
from livefleet.spec.cards import card_problems
from livefleet.spec.enrolment import HostReport

__all__ = ["Agent"]

log = logging.getLogger(__name__)


class Agent:
    """One node: hardware, role, health. `run` lasts until `stop` is set, then drains."""

    def __init__(
        self, spec: NodeSpec, *, digest: str, release: str, applied: str | None = None, clock: Clock | None = None
    ) -> None:
        self._spec = spec
        self._asked = spec  # what it was told last, of which some may wait for a restart
        self._applied = applied or digest  # of node.yaml; in pull mode the node may run newer settings than that has
        self._pull: roles.PullMode | None = None
        self._monitored: Monitored | None = None
        self.wants_restart = False
        self._digest = digest
        self._release = release
        self._clock = clock or SystemClock()
        self._started_at = self._clock.now()
        self._board = ConditionBoard(self._clock)
        self._board.on_change(_log_change)
        self._role: Role | None = None
        self._sampler: HardwareSampler | None = None
        self._gpus: GpuResource | None = None
        self._read = self._applied  # of what node.yaml said last
        self._restart_for: tuple[str, ...] = ()
        self._drain: DrainResource | None = None
        self._drain_loop: ReconcileLoop[Any] | None = None
        self._health: GpuHealthResource | None = None
        self._health_loop: ReconcileLoop[Any] | None = None

    async def run(self, stop: asyncio.Event, *, on_listening: Callable[[str], None] = lambda _: None) -> None:
        """Serve until `stop`. The admin endpoint is up first, so that a start which hangs can be looked at."""
        spec = self._spec
        async with HardwareSampler(
            self._clock, every_s=spec.monitoring.sample_every_s, kernel_log=KernelLog()
        ) as sampler:
            self._sampler = sampler
            ledger = open_ledger(spec, MachineMemory(sampler))
            aside = DevicesAside()
            self._role = _role_of(RoleContext(spec, self._board, self._clock, sampler, ledger, aside, self._release))
            registry = CollectorRegistry()
            for collector in (
                NodeCollector(self.status),
                GpuCollector(sampler),
                HostCollector(spec.paths.state, self._clock.now),
                ReadingCollector(self._readings, owner_labels(spec, socket.gethostname())),
            ):
                registry.register(collector)
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
            self._gpus = GpuResource(sampler, spec.gpus, spec.driver, every_s=spec.monitoring.sample_every_s)
            gpus = ReconcileLoop(self._gpus, self._board)
            self._health = self._gpu_health(sampler, aside)
            self._health_loop = health = ReconcileLoop(self._health, self._board)
            sampler.on_sample(lambda _: health.nudge())
            sampler.xids.on_event(lambda _: health.nudge())
            self._drain = DrainResource(spec.paths.state, WithoutSickDevices(self._role, aside), self._clock)
            self._drain_loop = ReconcileLoop(self._drain, self._board)
            self._health.recall()
            await self._drain_loop.once()  # a drained node takes nothing, not even at its start
            if spec.pull is not None:
                self._pull = roles.PullMode(spec, lambda: self._applied, self._takeover(stop), self._clock, self._board)
            self._monitored = monitored = Monitored(spec, registry, self._board, self._clock)
            listen, further = spec.monitoring.admin_listen, _routes_of(spec, self._role)
            admin_server = AdminServer(listen, self.status, registry, further=further)
            async with monitored.listening(), admin_server as admin:
                on_listening(admin.address)
                notify("READY=1")
                reports = reports_of(spec.paths, self._host_report)
                also = (*monitored.duties, *(duty.run for duty in (self._pull, reports) if duty is not None))
                loops = (gpus.run, health.run, self._drain_loop.run)
                await _until(stop, sampler.run, *loops, self._watchdog, self._serve, *also)
                log.info("agent.stopped")

    def reload(self, node: Path) -> None:
        """Read node.yaml again and take over what is live in it. Requests to drain are looked at as well.

        A file that is wrong changes nothing. One that is as it was does not take back what was pulled since. Everything
        happens at once, on the loop's thread.
        """
        for loop in (self._drain_loop, self._health_loop):
            if loop is not None:
                loop.nudge()
        try:
            applied = load_node(node)
            digest = self._read = node_digest(applied)
            self.take_over(self._asked if digest == self._applied else applied)
            self._applied = digest
        except BadInput as error:
            self._board.report(_spec_condition("NotTaken", f"the node goes on with what it had: {error}"))

    def take_over(self, newer: NodeSpec) -> tuple[str, ...]:
        """Go on with what is live in `newer`, all of it or nothing; the paths that a restart is needed for.

        The condition `SpecCurrent` tells them too. Raises BadInput, and nothing has changed.
        """
        self._asked = newer
        changed = effects(self._spec, newer)
        taken = take_over(self._spec, newer)
        if self._role is not None:
            self._role.take_over(taken)
        if self._gpus is not None:
            self._gpus.judge_by(taken.driver)
        if self._health is not None:
            self._health.judge_by(taken.gpu_health)
        logging.getLogger("livefleet").setLevel(taken.monitoring.log_level)
        self._spec, self._digest = taken, node_digest(taken)
        live = [effect.path for effect in changed.live]
        log.info("spec.taken_over", extra={"digest": self._digest, "settings": live})
        others = self._restart_for = tuple(effect.path for effect in changed.restarts)
        if others:
            text = f"all else is as declared; restart the node for {', '.join(others)}"
            self._board.report(_spec_condition("NeedsRestart", text))
        else:
            self._board.report(_spec_condition("", "the node runs what its node.yaml says"))
        return others

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
            parts={
                **(role.parts() if role else {}),
                **self._drain_part(),
                **({"gpus": gpu_health_part(self._health.standings())} if self._health else {}),
                **self._pull_part(),
                **({"hardware": hardware} if (hardware := self._hardware_part()) else {}),
                "spec": self._spec_part(),
            },
        )

    def _host_report(self) -> HostReport:
        """For the service that the host has enrolled at."""
        status = self.status()
        return HostReport(
            ready=status.ready,
            reasons=tuple(dict.fromkeys(condition.name for condition in status.blocking))[:20],
            digest=self._digest,
            release=self._release,
            pull=None if self._pull is None else self._pull.report(),
            uptime_s=max(0.0, self._clock.now() - self._started_at),
        )

    def _readings(self) -> list[Reading]:
        drain = drain_readings(self._drain.report()) if self._drain else ()
        gpus = gpu_health_readings(self._health.standings()) if self._health else ()
        pull = self._pull.readings() if self._pull else ()
        monitored = self._monitored.readings() if self._monitored else ()
        role = self._role.readings() if self._role else ()
        return [version_reading(self._spec), *role, *drain, *gpus, *pull, *monitored]

    def _gpu_health(self, sampler: HardwareSampler, aside: DevicesAside) -> GpuHealthResource:
        spec, known = self._spec, dict[str, str]()

        def card_of(gpu: GpuSample) -> str:
            if gpu.name not in known:
                known[gpu.name] = "; ".join(card_problems(spec.cards, [gpu.name]))
            return known[gpu.name]

        return GpuHealthResource(
            sampler,
            spec.gpus,
            spec.gpu_health,
            state=spec.paths.state,
            work=aside,
            clock=self._clock,
            boot=boot_id(),
            card_of=card_of,
        )

    def _hardware_part(self) -> dict[str, Any]:
        return hardware_part(self._sampler.latest if self._sampler else None)

    def _drain_part(self) -> dict[str, Any]:
        return {} if self._drain is None else {"drain": self._drain.report().model_dump(mode="json")}

    def _pull_part(self) -> dict[str, Any]:
        return {} if self._pull is None else {"pull": self._pull.report()}

    def _takeover(self, stop: asyncio.Event) -> Takeover:
        def restart() -> None:
            self.wants_restart = True
            stop.set()

        return Takeover(lambda: self._asked, lambda: self.status().ready, self.take_over, restart)

    def _spec_part(self) -> dict[str, Any]:
        """What was read last, and the settings in it that wait for a restart; `digest` is what runs."""
        return {"read": self._read, "restart_for": list(self._restart_for)}

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
            return roles.OrchestratorRole(context)
        case RoleName.WORKER:
            return roles.WorkerRole(context)
        case RoleName.REDEEMER:
            return roles.RedeemerRole(context)
        case RoleName.KEYKEEPER:
            return roles.KeykeeperRole(context)
        case RoleName.MONITOR:
            return roles.MonitorRole(context)


def _routes_of(spec: NodeSpec, role: Role) -> Sequence[BaseRoute]:
    """What the admin address has for the role alone; another role's module is not even imported."""
    return role.routes if spec.role is RoleName.MONITOR and isinstance(role, roles.MonitorRole) else ()


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
            **({"advice": after.advice} if after.advice else {}),
            "was": before.status.value if before else None,
        },
    )
