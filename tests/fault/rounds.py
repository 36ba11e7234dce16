"""Rounds with faults: two agents that hold one orchestrator's duties, and no reward, ticket or wei may be lost.

    .venv/bin/python -m tests.fault.rounds [--rounds 90] [--round-length 100] [--block-s 0.12] [--seed 1] [--own-stores]

Prints a table; the exit code is 1 if anything was lost or done twice.
"""

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from livefleet.payments import TicketState
from tests.fault.round_audit import RewardsOnChain, TicketsOfNode, rewards_on_chain, tickets_of_node
from tests.fault.round_faults import RoundFaults
from tests.fault.round_story import Scene, a_scene


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    scene: Scene
    rounds: range
    rewards: RewardsOnChain
    tickets: tuple[TicketsOfNode, ...]
    received: tuple[int, ...]  # tickets, by each node's own count
    ledgers: tuple[str, ...]  # each node's word on its ledger
    took_s: float

    def verdict(self) -> list[str]:
        """What an operator would complain about."""
        called = self.rewards.rounds
        told = [f"round {r}: {called[r]} rewards" for r in self.rounds if called[r] != 1]
        if self.rewards.reverted:
            told.append(f"{self.rewards.reverted} reward calls were mined and refused")
        for name, node in zip("ab", self.tickets, strict=True):
            if pending := node.by_state[TicketState.PENDING]:
                told.append(f"{name}: {pending} winning tickets still wait")
            if node.unnamed:
                told.append(f"{name}: {node.unnamed} tickets lost without a reason")
            told += [f"{name}: {text}" for text in node.untrue]
        told += [
            f"{name}: {acknowledged} payments acknowledged, {received} tickets on the books"
            for name, acknowledged, received in zip(
                "ab", (self.scene.acknowledged[n] for n in range(2)), self.received, strict=True
            )
            if received < acknowledged
        ]
        told += [f"{name}: ledger: {text}" for name, text in zip("ab", self.ledgers, strict=True) if text]
        return told

    def table(self) -> str:
        """For people."""
        scene, called = self.scene, self.rewards.rounds
        done = sum(called[r] == 1 for r in self.rounds)
        delays = self.rewards.delays(self.rounds)
        states: dict[TicketState, int] = {s: sum(node.by_state[s] for node in self.tickets) for s in TicketState}
        lost = [f"{n} x {why}" for node in self.tickets for why, n in node.lost.items()]
        rows = [
            ("faults", ", ".join(f"{n} x {name}" for name, n in sorted(scene.faults.items())) or "none"),
            ("rewards", f"{done} of {len(self.rounds)}; {self.rewards.reverted} calls refused on chain"),
            (
                "blocks from round to reward",
                f"median {statistics.median(delays):g}, most {max(delays)}" if delays else "-",
            ),
            ("payments acknowledged", f"{sum(scene.acknowledged.values())}, tickets received {sum(self.received)}"),
            ("winning tickets", ", ".join(f"{n} {state.value}" for state, n in states.items())),
            ("  lost, by reason", "; ".join(lost) or "none"),
            ("  paid", f"{sum(node.paid for node in self.tickets)} wei"),
            ("payments refused", "; ".join(f"{n} x {why}" for why, n in scene.refused.most_common(4)) or "none"),
            ("payments unanswered", str(sum(scene.unanswered.values()))),
            ("took", f"{self.took_s:.0f} s"),
        ]
        return "\n".join(f"{name:<28} {text}" for name, text in rows)


async def play(
    folder: Path, *, rounds: int, round_length: int, block_s: float, seed: int, shared: bool = True
) -> Outcome:
    """A fault or two in each round, two calm rounds at the end, then the audit."""
    began, rng = time.monotonic(), random.Random(seed)
    async with a_scene(folder, round_length=round_length, block_s=block_s, shared=shared) as scene:
        faults = RoundFaults(scene, rng, round_length * block_s)
        first = await _next(scene, await scene.round())
        deck: list = []
        for number in range(first, first + rounds):
            deck = deck or rng.sample(faults.all, len(faults.all))
            chosen = [deck.pop() for _ in range(min(len(deck), rng.randint(1, 2)))]
            for name, _ in chosen:
                scene.faults[name] += 1
            print(f"round {number}: {', '.join(name for name, _ in chosen)}", file=sys.stderr, flush=True)
            await asyncio.gather(*(fault() for _, fault in chosen), _next(scene, number))
        scene.paying = False
        last = first + rounds
        for number in (last, last + 1):
            await _next(scene, number)
        for agent in scene.agents:
            await asyncio.to_thread(
                agent.until, "nothing pending", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
            )
        ledgers = tuple([await asyncio.to_thread(_ledger, agent) for agent in scene.agents])
        scene.pace.held = True
        statuses = [await asyncio.to_thread(agent.status) for agent in scene.agents]
        client = scene.chain.client
        return Outcome(
            scene=scene,
            rounds=range(first, last + 1),
            rewards=await rewards_on_chain(client, scene.orchestrator, scene.keys),
            tickets=tuple([await tickets_of_node(client, agent.node_yaml) for agent in scene.agents]),
            received=tuple(status["payments"]["tickets"]["received"]["count"] for status in statuses),
            ledgers=ledgers,
            took_s=time.monotonic() - began,
        )


async def _next(scene: Scene, number: int) -> int:
    """Wait until a round is over; returns the one that then is."""
    async with asyncio.timeout(600):
        while (now := await scene.round()) <= number:
            await asyncio.sleep(scene.pace.block_s)
    return now


def _ledger(agent) -> str:
    """Why a node's ledger does not close; empty where it does."""
    found = agent.until_condition("LedgerBalanced", "Balanced", "Differs")
    return "" if found["status"] == "true" else found["message"]


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=90)
    options.add_argument("--round-length", type=int, default=100, help="blocks")
    options.add_argument("--block-s", type=float, default=0.12, help="seconds a block takes")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--own-stores", action="store_true", help="no database between the agents")
    options.add_argument("--keep", action="store_true", help="leave the agents' folders and logs")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lf", dir="/tmp"))  # short: unix sockets below it have a limit
    try:
        outcome = asyncio.run(
            play(
                folder,
                rounds=given.rounds,
                round_length=given.round_length,
                block_s=given.block_s,
                seed=given.seed,
                shared=not given.own_stores,
            )
        )
    finally:
        if given.keep:
            print(f"the agents' folders and logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    print(outcome.table())
    complaints = outcome.verdict()
    print("\n".join(complaints) or "nothing was lost and nothing done twice")
    return min(len(complaints), 1)


if __name__ == "__main__":
    sys.exit(main())
