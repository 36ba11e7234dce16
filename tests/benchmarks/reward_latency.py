"""From the block that makes a reward possible to the block that has it: `python -m tests.benchmarks.reward_latency`.

A whole orchestrator on a local chain, whose rounds somebody else initialises. The clock starts when the initialising
transaction is in a block, and stops when the chain says that the round's reward was called.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.builders.paid_nodes import PaidNode, a_paid_node

TARGET_S = 5.0
AIM_S = 1.0
POLL_S = 0.005


async def last_reward(node: PaidNode) -> int:
    return (await node.chain.client.bonding.transcoder(node.orchestrator.address)).last_reward_round


async def one_round(node: PaidNode) -> float:
    """Seconds that the reward of the next round took."""
    number = await node.chain.next_round()
    began = time.perf_counter()
    while await last_reward(node) < number:
        if time.perf_counter() - began > 60:
            raise SystemExit(f"round {number} had no reward in a minute\n{node.agent.log()[-3000:]}")
        await asyncio.sleep(POLL_S)
    return time.perf_counter() - began


async def measure(rounds: int, folder: Path) -> list[float]:
    async with a_paid_node(folder, round_length=20, duties={"reward": {}}) as node:
        current = await node.chain.client.rounds.current_round()
        while await last_reward(node) < current:
            await asyncio.sleep(0.1)
        taken = []
        for _ in range(rounds):
            await asyncio.sleep(1.0)  # the agent has come to rest
            taken.append(await one_round(node))
        return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        taken = asyncio.run(measure(rounds, Path(folder)))
    worst = max(taken)
    print(
        f"reward after its block, {rounds} rounds: min {min(taken):.3f} s, median {statistics.median(taken):.3f} s, "
        f"max {worst:.3f} s (target {TARGET_S:g} s, aim {AIM_S:g} s)"
    )
    return 0 if worst <= TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
