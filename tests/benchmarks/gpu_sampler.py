"""What reading eight GPUs every second costs: `python -m tests.benchmarks.gpu_sampler [--seconds 20]`.

The sampler as the agent runs it, over the NVML stand-in, which answers in about a microsecond a call: the cost is the
binding's and ours, the driver's own comes on top. CPU time of one sample by itself, and of the whole for a while.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from livefleet.hardware import HardwareSampler, HardwareSnapshot, read_snapshot
from livefleet.kernel import SystemClock
from tests.nvml import stub

GPUS, PROCESSES, EVERY_S, ROUNDS = 8, 4, 1.0, 200
TARGET_PERCENT = 1.0


async def cpu_ms_per_sample(details_every_s: float) -> float:
    """CPU time of one sample, waiting for events left out as far as it goes."""
    async with HardwareSampler(
        SystemClock(), every_s=EVERY_S, details_every_s=details_every_s, event_wait_ms=1000
    ) as sampler:
        await sampler.sample()
        began = time.process_time()
        for _ in range(ROUNDS):
            await sampler.sample()
        return (time.process_time() - began) / ROUNDS * 1000


async def percent_of_a_core(seconds: float) -> tuple[float, int]:
    """As it runs in the agent; also how many samples that were."""
    seen: list[HardwareSnapshot] = []
    async with HardwareSampler(SystemClock(), every_s=EVERY_S) as sampler:
        sampler.on_sample(seen.append)
        running = asyncio.create_task(sampler.run())
        await asyncio.sleep(1)
        seen.clear()
        before, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        percent = (time.process_time() - before) / (time.monotonic() - began) * 100
        running.cancel()
    assert all(len(snapshot.gpus) == GPUS and snapshot.fault is None for snapshot in seen)
    return percent, len(seen)


def whole_ms() -> float:
    """CPU time of initialising NVML, reading all and shutting it down: what a sample cost without a kept session."""
    began = time.process_time()
    for _ in range(ROUNDS):
        read_snapshot(0.0)
    return (time.process_time() - began) / ROUNDS * 1000


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stub.load(stub.build(folder / "library"))
        state = stub.NvmlState(folder / "nvml.state")
        os.environ["LIVEFLEET_NVML_STATE"] = str(state.path)
        processes = ",".join(f"{pid}:1048576" for pid in range(1000, 1000 + PROCESSES))
        for index in range(GPUS):
            state.plug(index, f"GPU-aaaaaaaa-0000-0000-0000-{index:012d}", procs=processes)
        state.write()
        read_snapshot(0.0)
        rows = [
            ("a sample of what changes always", asyncio.run(cpu_ms_per_sample(1e9)), "ms of CPU"),
            ("a sample of everything", asyncio.run(cpu_ms_per_sample(0.0)), "ms of CPU"),
            ("initialise, identify, read all, shut down", whole_ms(), "ms of CPU"),
        ]
        percent, samples = asyncio.run(percent_of_a_core(given.seconds))
    print(f"{GPUS} GPUs, every {EVERY_S:g} s, {samples} samples, load {os.getloadavg()[0]:.1f}")
    for name, value, unit in rows:
        print(f"{name:<44}{value:>8.2f} {unit}")
    print(f"{'all of it, events and the loop included':<44}{percent:>8.2f} % of a core")
    met = percent <= TARGET_PERCENT
    print(f"target: {TARGET_PERCENT:g} % of a core: {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
