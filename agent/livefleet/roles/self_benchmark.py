"""Measuring the machine before it serves, where its limits are not known or no longer true."""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from livefleet.kernel import Condition, Status
from livefleet.media import BENCHMARK_CURRENT, Benchmark, Device, DeviceBenchmark, is_stale, load_benchmark
from livefleet.media.ladder import parse_profile
from livefleet.roles.base import RoleContext
from livefleet.spec import SelfBenchmark

__all__ = ["bench_command", "measure_where_needed", "needs_measuring"]

log = logging.getLogger(__name__)

_GRACE_S = 120.0  # beyond the budget: the clip is made, the device starts, the first level runs to its end
_LAST_LINES = 5
# What the measurement may know of the agent's environment: how to find libraries, nothing that could be a secret.
_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "TZ",
)
_PASSED_ON_PREFIXES = ("NVIDIA_", "CUDA_")


def needs_measuring(
    known: DeviceBenchmark | None, settings: SelfBenchmark, driver_version: str | None, cores: float
) -> bool:
    """Whether a device's record is missing, of another machine, or of another ladder, source or network. Pure."""
    if known is None or is_stale(known, driver_version, cores):
        return True
    asked = tuple(parse_profile(text) for text in settings.ladder)
    network = (_bits(settings.down_mbit), _bits(settings.up_mbit))
    return (
        known.profiles != asked
        or settings.source not in known.source
        or (known.down_bit_per_s, known.up_bit_per_s) != network
    )


def bench_command(settings: SelfBenchmark, device: Device, state: Path) -> tuple[str, ...]:
    """What measures a device and keeps the outcome; it ends with the agent. Pure."""
    network = [
        f"{option}={value:g}"
        for option, value in (("--down-mbit", settings.down_mbit), ("--up-mbit", settings.up_mbit))
        if value is not None
    ]
    return (
        *("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "livefleet", "bench", "transcode"),
        f"--device={device.id}",
        f"--ladder={','.join(settings.ladder)}",
        f"--source={settings.source}",
        f"--seconds={settings.seconds:g}",
        f"--budget={settings.budget_s:g}",
        *network,
        f"--write={state}",
    )


async def measure_where_needed(
    context: RoleContext,
    settings: SelfBenchmark,
    devices: Sequence[Device],
    driver_version: str | None,
    cores: float,
    known: Benchmark,
) -> Benchmark:
    """Measure, one after the other, the devices whose limits are not known; what is known then.

    A measurement that fails is said and keeps no node from serving: the measured cost of sessions alone decides then.
    """
    state = context.spec.paths.state
    for device in devices:
        if not needs_measuring(known.of(device.id), settings, driver_version, cores):
            continue
        log.info("benchmark.started", extra={"device": device.id, "ladder": list(settings.ladder)})
        _say(context, device, "finding how many sessions hold; the node serves after that")
        command = bench_command(settings, device, state)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, env=_environment(context.spec.paths.run)
        )
        try:
            async with asyncio.timeout(settings.budget_s + _GRACE_S):
                lines = await _progress(context, device, process)
                code = await process.wait()
            log.log(
                logging.WARNING if code else logging.INFO,
                "benchmark.ended",
                extra={"device": device.id, "exit_code": code, "output": lines},
            )
        except TimeoutError:
            log.warning("benchmark.given_up", extra={"device": device.id})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return load_benchmark(state)


async def _progress(context: RoleContext, device: Device, process: Process) -> list[str]:
    """Say each line that comes until the end; the last ones."""
    assert process.stderr is not None
    lines: list[str] = []
    while line := await process.stderr.readline():
        text = line.decode(errors="replace").strip()
        lines = [*lines[1 - _LAST_LINES :], text]
        _say(context, device, text)
    return lines


def _say(context: RoleContext, device: Device, text: str) -> None:
    message = text if text.startswith(device.id) else f"{device.id}: {text}"
    context.board.report(Condition(BENCHMARK_CURRENT, Status.UNKNOWN, "Measuring", message, gates_ready=False))


def _environment(run_dir: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return kept | {"TMPDIR": str(run_dir)}


def _bits(mbit: float | None) -> float | None:
    return None if mbit is None else mbit * 1e6
