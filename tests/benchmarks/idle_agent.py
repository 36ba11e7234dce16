"""What an agent costs that has nothing to do: `python -m tests.benchmarks.idle_agent`.

An off-chain orchestrator with the transcoding duty that watches eight GPUs (the NVML stand-in) at the usual interval.
Memory of the agent's own process and CPU time over a while, beside an interpreter that only imported the same modules;
its children are listed for themselves.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.builders.agents import an_agent
from tests.nvml import stub

GPUS = 8
TARGET_MB, TARGET_PERCENT = 150, 1.0
SETTLE_S = 3.0


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def name_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    return words[words.index("-m") + 1] if "-m" in words else " ".join(words[:2])


def imports_mb() -> float:
    """Memory of an interpreter that has the agent's modules and does nothing."""
    code = "import livefleet.app, livefleet.cli.agent, uvloop, sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        memory = rss_mb(process.pid)
        process.stdin.close()
    return memory


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20)
    given = options.parse_args()
    base = imports_mb()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        state = stub.NvmlState(folder / "nvml.state")
        for index in range(GPUS):
            state.gpu(index, f"GPU-aaaaaaaa-0000-0000-0000-{index:012d}")
        environment = {
            "LD_LIBRARY_PATH": str(stub.build(folder / "nvml").parent), "LIVEFLEET_NVML_STATE": str(state.path),
        }  # fmt: skip
        with an_agent(
            folder / "node",
            env=environment,
            role="orchestrator",
            network={"name": "offchain"},
            duties={"transcoding": {"encoder": "software"}},
        ) as agent:
            assert agent.metric("livefleet_gpus_present") == GPUS
            time.sleep(SETTLE_S)
            pids = [process.pid for process in agent.family()]
            before, began = {pid: cpu_s(pid) for pid in pids}, time.perf_counter()
            time.sleep(given.seconds)
            taken = time.perf_counter() - began
            rows = [(name_of(pid), rss_mb(pid), (cpu_s(pid) - before[pid]) / taken * 100) for pid in pids]
    own = rows[0]
    print(f"{GPUS} GPUs, {given.seconds:g} s, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'process':<28}{'RSS MB':>9}{'over imports':>14}{'CPU %':>8}")
    print(f"{'imports alone':<28}{base:>9.0f}{1:>14.2f}")
    for name, memory, percent in rows:
        print(f"{name:<28}{memory:>9.0f}{memory / base:>14.2f}{percent:>8.2f}")
    met = own[1] <= TARGET_MB and own[2] <= TARGET_PERCENT
    print(f"target for the agent itself: {TARGET_MB} MB, {TARGET_PERCENT:g} % of a core: {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
