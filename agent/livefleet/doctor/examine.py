"""The whole examination of the host that this runs on."""

import asyncio
import resource
from pathlib import Path

from livefleet.doctor.chain import judge_chain, look_at_chain
from livefleet.doctor.driver import judge_driver, read_driver
from livefleet.doctor.machine import judge_machine, read_machine
from livefleet.doctor.needs import lasting_needs
from livefleet.doctor.outside import judge_outside, look_from_outside
from livefleet.doctor.service import judge_node, look_at_node
from livefleet.hardware import HardwareSnapshot, read_snapshot
from livefleet.hardware.models import Fault, NvmlFault
from livefleet.kernel import Clock
from livefleet.reconcile.resources.gpus import gpu_conditions
from livefleet.spec import Examination, Finding, NetworkName, NodeSpec, extras_of, node_digest

__all__ = ["examine"]

_NVML_S = 10.0


async def examine(spec: NodeSpec, clock: Clock, *, root: Path = Path("/")) -> Examination:
    """Look at everything, all at once and each bounded in time. Never raises for what it finds."""
    digest = node_digest(spec)
    parts = await asyncio.gather(
        _machine_and_node(spec, digest, root),
        _driver(spec, clock, root),
        lasting_needs(spec),
        _door(spec, clock),
        _chain(spec, clock),
    )
    findings = tuple(finding for part in parts for finding in part)
    return Examination(node=spec.name, at=clock.now(), digest=digest, findings=findings)


async def _machine_and_node(spec: NodeSpec, digest: str, root: Path) -> list[Finding]:
    view = await asyncio.to_thread(look_at_node, spec)
    places = {"state and tickets": spec.paths.state, "releases": spec.paths.releases, "system": root}
    limit = view.open_files or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    machine = await asyncio.to_thread(read_machine, places, open_files=limit, root=root)
    return [*judge_machine(machine), *judge_node(view, listen=spec.monitoring.admin_listen, digest=digest)]


async def _driver(spec: NodeSpec, clock: Clock, root: Path) -> list[Finding]:
    try:
        async with asyncio.timeout(_NVML_S):
            snapshot = await asyncio.to_thread(read_snapshot, clock.now())
    except TimeoutError:  # its thread ends with the process
        fault = NvmlFault(Fault.HANGING, f"NVML did not answer within {_NVML_S:g} s")
        snapshot = HardwareSnapshot(clock.now(), None, None, (), fault)
    facts = await asyncio.to_thread(read_driver, snapshot, root=root)
    conditions = gpu_conditions(snapshot, spec.gpus, spec.driver)
    return judge_driver(facts, conditions, transcodes=spec.duties.transcoding is not None and spec.gpus != "none")


async def _door(spec: NodeSpec, clock: Clock) -> list[Finding]:
    if spec.orchestrator is None:
        return []
    view = await asyncio.to_thread(look_from_outside, spec.orchestrator.service_uri)
    # Many routers do not let a network reach itself by its public address.
    return judge_outside(view, now=clock.now(), where="the host itself", strict=False)


async def _chain(spec: NodeSpec, clock: Clock) -> list[Finding]:
    if not spec.network.on_chain or "chain" not in extras_of(spec):
        return []
    views = await look_at_chain(spec.network)
    return judge_chain(views, now=clock.now(), keeps_time=spec.network.name is NetworkName.ARBITRUM_ONE)
