"""From exec to a ready node: `python -m tests.benchmarks.agent_start`.

An orchestrator with the transcoding duty and no AI, off-chain and on a local chain, turn and turn about; beside it the
time that the interpreter needs to import what the agent is made of, which nothing here can undercut. The first start
of each also makes its certificate.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.builders.agents import RunningAgent, an_agent
from tests.builders.paid_nodes import a_paid_node

TARGET_S = 3.0
POLL_S = 0.01


def imports() -> float:
    """Seconds to import the agent in a fresh interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import livefleet.app, livefleet.cli.agent, uvloop"], check=True)
    return time.perf_counter() - began


def start(agent: RunningAgent) -> float:
    """Seconds from exec to /readyz 200; the agent is stopped again."""
    began = time.perf_counter()
    agent.start(ready=False)
    while agent.get("/readyz")[0] != 200:
        assert agent.process is not None
        assert agent.process.poll() is None, agent.log()[-2000:]
        time.sleep(POLL_S)
    taken = time.perf_counter() - began
    assert agent.stop() == 0
    return taken


async def measure(runs: int, folder: Path) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {"imports alone": [], "off-chain": [], "local chain": []}
    with an_agent(
        folder / "offchain",
        start=False,
        role="orchestrator",
        network={"name": "offchain"},
        duties={"transcoding": {"encoder": "software"}},
    ) as offchain:
        async with a_paid_node(
            folder / "onchain",
            start=False,
            duties={"transcoding": {"encoder": "software"}, "redemption": {}, "reward": {}},
        ) as node:
            for _ in range(runs):
                rows["imports alone"].append(await asyncio.to_thread(imports))
                rows["off-chain"].append(await asyncio.to_thread(start, offchain))
                rows["local chain"].append(await asyncio.to_thread(start, node.agent))
    return rows


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = asyncio.run(measure(given.runs, Path(scratch)))
    base = statistics.median(rows["imports alone"])
    print(f"{given.runs} runs, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'exec to ready':<16}{'min s':>8}{'median s':>10}{'max s':>8}{'over imports':>14}{'over target':>13}")
    for name, values in rows.items():
        median = statistics.median(values)
        print(
            f"{name:<16}{min(values):>8.2f}{median:>10.2f}{max(values):>8.2f}{median / base:>14.2f}"
            f"{median / TARGET_S:>13.2f}"
        )
    met = all(statistics.median(rows[name]) <= TARGET_S for name in ("off-chain", "local chain"))
    print(f"target: ready within {TARGET_S:g} s: {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
