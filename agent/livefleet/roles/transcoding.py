"""Which devices a node transcodes on, and opening them."""

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from livefleet.hardware import HardwareSnapshot
from livefleet.media import CPU, Device, DeviceKind, LocalTranscoder
from livefleet.roles.base import RoleContext
from livefleet.spec import GpuSelection, TranscodingDuty

__all__ = ["devices_for", "open_transcoder"]

log = logging.getLogger(__name__)


def devices_for(duty: TranscodingDuty, declared: GpuSelection, snapshot: HardwareSnapshot) -> tuple[Device, ...]:
    """The devices to try first. Pure."""
    if duty.encoder == "software" or declared == "none":
        return (CPU,)
    uuids = [g.uuid for g in snapshot.gpus if g.uuid and g.fault is None and (declared == "all" or g.uuid in declared)]
    gpus = tuple(Device(uuid, DeviceKind.NVIDIA) for uuid in uuids)
    return gpus or (() if duty.encoder == "nvenc" else (CPU,))


@asynccontextmanager
async def open_transcoder(context: RoleContext, duty: TranscodingDuty, run_dir: Path) -> AsyncIterator[LocalTranscoder]:
    """Start the devices' processes. With `encoder: auto`, GPUs without an encoder give way to the CPU."""
    snapshot = context.sampler.latest or await context.sampler.sample()
    devices = devices_for(duty, context.spec.gpus, snapshot)
    if duty.encoder == "auto" and devices != (CPU,):
        async with _opened(context, duty, devices, run_dir) as transcoder:
            if transcoder.capability_ids:
                yield transcoder
                return
            log.warning("transcoding.no_nvenc", extra={"devices": [d.id for d in devices], "instead": "libx264"})
        for device in devices:
            context.board.withdraw("TranscoderReady", device.id)
        devices = (CPU,)
    async with _opened(context, duty, devices, run_dir) as transcoder:
        yield transcoder


def _opened(context: RoleContext, duty: TranscodingDuty, devices: tuple[Device, ...], run_dir: Path) -> LocalTranscoder:
    return LocalTranscoder(
        devices,
        run_dir=run_dir,
        board=context.board,
        clock=context.clock,
        max_sessions=duty.max_sessions,
        rng=random.SystemRandom(),
    )
