"""The whole examination of the host that this runs on."""

import asyncio
from pathlib import Path

from livefleet.doctor.chain import judge_chain, look_at_chain
from livefleet.doctor.driver import judge_driver, read_driver
from livefleet.doctor.machine import judge_machine, read_machine
from livefleet.doctor.needs import lasting_needs
from livefleet.doctor.outside import judge_outside, look_from_outside
from livefleet.doctor.service import judge_node, look_at_node
from livefleet.hardware import HardwareSnapshot, read_snapshot
from livefleet.hardware.lanes import Lane
from livefleet.hardware.models import Fault, NvmlFault
from livefleet.kernel import Clock
from livefleet.reconcile.resources.gpus import gpu_conditions
from livefleet.roles import load_packages
from livefleet.spec import Examination, Finding, NetworkName, NodeSpec, extras_of, missing_extras, node_digest

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
    return Examination(node=spec.name, at=clock.now(), digest=digest, findings=_once(findings))


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Without what the node says of its GPUs where this look finds the same."""
    seen = {f.what for f in findings if f.area == "driver" and f.trouble}
    if "module" in seen:
        seen.add("GpuDriver")
    return tuple(f for f in findings if not (f.area == "node" and f.what in seen))


async def _machine_and_node(spec: NodeSpec, digest: str, root: Path) -> list[Finding]:
    view = await asyncio.to_thread(look_at_node, spec)
    places = {"state and tickets": spec.paths.state, "releases": spec.paths.releases, "system": root}
    machine = await asyncio.to_thread(read_machine, places, open_files=view.open_files, root=root)
    return [*judge_machine(machine), *judge_node(view, listen=spec.monitoring.admin_listen, digest=digest)]


async def _driver(spec: NodeSpec, clock: Clock, root: Path) -> list[Finding]:
    lane = Lane("nvml")  # a call that hangs keeps nobody from ending
    try:
        async with asyncio.timeout(_NVML_S):
            snapshot = await asyncio.wrap_future(lane.submit(read_snapshot, clock.now()))
    except TimeoutError:
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
    if not spec.network.on_chain or "chain" not in extras_of(spec) or missing_extras(spec):
        return []
    await asyncio.to_thread(load_packages, spec)  # else the first endpoint's answer takes as long as that
    views = await look_at_chain(spec.network)
    return judge_chain(views, now=clock.now(), keeps_time=spec.network.name is NetworkName.ARBITRUM_ONE)
