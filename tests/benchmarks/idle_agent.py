"""What an agent costs that has nothing to do: `python -m tests.benchmarks.idle_agent`.

An off-chain orchestrator with the transcoding duty that watches eight GPUs (the NVML stand-in) at the usual interval.
Memory of the agent's own process and CPU time over a while, beside an interpreter that only imported the same modules;
its children are listed for themselves. Then agents of several kinds, each by itself: the packages that its duties
bring to a host, and its own memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deploys.models import Platform
from livefleet.spec import NodeSpec, ReleaseSettings, extras_of
from tests.builders.agents import an_agent
from tests.builders.environments import a_shop
from tests.builders.kinds import a_keykeeper, a_redeemer, a_worker, an_orchestrator
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


def by_kind(folder: Path) -> None:
    """Packages and idle memory of each kind."""
    shop = a_shop()
    kinds = {
        "orchestrator, off-chain": an_orchestrator(folder / "o"),
        "worker, transcoding": a_worker(folder / "w", "https://127.0.0.1:9"),
        "keykeeper": a_keykeeper(folder / "k"),
        "redeemer": a_redeemer(folder / "r"),
    }
    print(f"{'kind':<26}{'packages':>10}{'MiB sent':>10}{'unpacked':>10}{'RSS MB':>9}  extras")
    for name, node in kinds.items():
        extras = extras_of(NodeSpec.model_validate({"fleet": "test", "name": "node", **node}))
        parcel = shop.parcel(shop.release(extras, Platform.own()), ReleaseSettings())
        sent, unpacked = (sum(getattr(wheel, what) for wheel in parcel.wheels) / 2**20 for what in ("size", "unpacked"))
        root = folder / name.partition(",")[0][0]
        with an_agent(root, start=False, **node) as agent:
            agent.start(ready=False)
            agent.until("it answers", lambda status: status["conditions"])
            time.sleep(SETTLE_S)
            assert agent.process is not None
            memory = rss_mb(agent.process.pid)
        told = ", ".join(sorted(extras))
        print(f"{name:<26}{len(parcel.wheels):>10}{sent:>10.0f}{unpacked:>10.0f}{memory:>9.0f}  {told}")


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
    with tempfile.TemporaryDirectory() as scratch:
        by_kind(Path(scratch))
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
