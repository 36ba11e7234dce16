"""Which devices a node transcodes on, and opening them."""

import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from livefleet.hardware import HardwareSnapshot
from livefleet.kernel import BadInput
from livefleet.media import (
    CPU,
    Benchmark,
    Device,
    DeviceKind,
    LocalTranscoder,
    benchmark_condition,
    is_stale,
    load_benchmark,
    usable_cores,
)
from livefleet.reconcile.resources import Remaining
from livefleet.roles.base import RoleContext
from livefleet.roles.self_benchmark import measure_where_needed
from livefleet.spec import GpuSelection, TranscodingDuty

__all__ = ["devices_for", "limit_sessions", "open_transcoder", "session_limit", "work_by_device"]

log = logging.getLogger(__name__)


def devices_for(duty: TranscodingDuty, declared: GpuSelection, snapshot: HardwareSnapshot) -> tuple[Device, ...]:
    """The devices to try first. Pure."""
    if duty.encoder == "software" or declared == "none":
        return (CPU,)
    uuids = [g.uuid for g in snapshot.gpus if g.uuid and g.fault is None and (declared == "all" or g.uuid in declared)]
    gpus = tuple(Device(uuid, DeviceKind.NVIDIA) for uuid in uuids)
    return gpus or (() if duty.encoder == "nvenc" else (CPU,))


def session_limit(
    duty: TranscodingDuty, devices: Sequence[Device], benchmark: Benchmark, driver_version: str | None, cores: float
) -> int | None:
    """The most sessions at once; None where only the room decides. Pure.

    With `auto`: what was measured on all devices, as long as that is still true of this machine.
    """
    if duty.max_sessions != "auto":
        return duty.max_sessions
    records = [record for device in devices if (record := benchmark.of(device.id)) is not None]
    if len(records) < len(devices) or any(is_stale(record, driver_version, cores) for record in records):
        return None
    return sum(record.limit for record in records)


def limit_sessions(context: RoleContext, transcoder: LocalTranscoder, duty: TranscodingDuty) -> None:
    """Take new streams by `duty` from now on, with `auto` by what was measured on the transcoder's devices."""
    snapshot = context.sampler.latest
    version = None if snapshot is None else snapshot.driver_version
    benchmark = _benchmark(context.spec.paths.state)
    limit = session_limit(duty, transcoder.devices, benchmark, version, usable_cores())
    transcoder.limit(max_load=duty.max_load, max_sessions=limit)


def work_by_device(transcoder: LocalTranscoder) -> dict[str, Remaining]:
    """Sessions that are done on a device from here on, and segments in work there."""
    jobs = transcoder.device_jobs
    return {device.id: Remaining(device.sessions, jobs[device.id]) for device in transcoder.load.devices}


@asynccontextmanager
async def open_transcoder(context: RoleContext, duty: TranscodingDuty, run_dir: Path) -> AsyncIterator[LocalTranscoder]:
    """Start the devices' processes, measured before if the duty says so and they are not.

    With `encoder: auto`, GPUs without an encoder give way to the CPU, and so do GPUs that are not there yet: the CPU
    stands in until they are. GPUs that come later join.
    """
    snapshot = context.sampler.latest or await context.sampler.sample()
    devices = devices_for(duty, context.spec.gpus, snapshot)
    tried = frozenset(device.id for device in devices)

    def arrivals() -> tuple[Device, ...]:
        latest = context.sampler.latest
        found = () if latest is None else devices_for(duty, context.spec.gpus, latest)
        return tuple(device for device in found if device != CPU and device.id not in tried)

    if duty.encoder == "auto" and devices != (CPU,):
        async with await _opened(context, duty, devices, snapshot.driver_version, run_dir, arrivals) as transcoder:
            if transcoder.capability_ids:
                yield transcoder
                return
            log.warning("transcoding.no_nvenc", extra={"devices": [d.id for d in devices], "instead": "libx264"})
        for device in devices:
            context.board.withdraw("TranscoderReady", device.id)
        devices = (CPU,)
    async with await _opened(context, duty, devices, snapshot.driver_version, run_dir, arrivals) as transcoder:
        yield transcoder


async def _opened(
    context: RoleContext,
    duty: TranscodingDuty,
    devices: tuple[Device, ...],
    driver_version: str | None,
    run_dir: Path,
    arrivals: Callable[[], Iterable[Device]],
) -> LocalTranscoder:
    benchmark, cores = _benchmark(context.spec.paths.state), usable_cores()
    if duty.benchmark is not None:
        benchmark = await measure_where_needed(context, duty.benchmark, devices, driver_version, cores, benchmark)
    known = {device.id: record.pixel_cost for device in devices if (record := benchmark.of(device.id)) is not None}
    if known or duty.benchmark is not None or duty.max_sessions == "auto":
        context.board.report(benchmark_condition(benchmark, devices, driver_version, cores))
    return LocalTranscoder(
        devices,
        run_dir=run_dir,
        board=context.board,
        clock=context.clock,
        max_sessions=session_limit(duty, devices, benchmark, driver_version, cores),
        max_load=duty.max_load,
        pixel_costs=known,
        rng=random.SystemRandom(),
        ledger=context.ledger,
        proof_interval_s=duty.proof_interval_s or None,
        arrivals=arrivals,
        stand_ins=(CPU.id,) if duty.encoder == "auto" and devices == (CPU,) else (),
    )


def _benchmark(state: Path) -> Benchmark:
    """What was measured. A file that nobody can read is no reason not to work."""
    try:
        return load_benchmark(state)
    except BadInput as error:
        log.warning("benchmark.unreadable", extra={"error": str(error)})
        return Benchmark()
