"""What an idle orchestrator asks of its JSON-RPC endpoint: `python -m tests.benchmarks.rpc_requests`.

A whole agent with transcoding, reward and redemption duties, active in its round, no gateway at its door, on a local
chain with blocks at the real pace and the settings of Arbitrum One. Requests, each of a batch counted, after it has
settled; beside polling for block, gas price and logs every 5 s, each by itself: 2,160 an hour. What comes less often
than the run is long (`--seconds 900` has what comes every ten minutes in it) is counted by hand below: reading
contracts again, looking addresses up, and being near when a round begins.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from livefleet.kernel import Wei
from tests.builders.agents import an_agent
from tests.builders.gateways import write_key
from tests.builders.paid_nodes import GATEWAY, ORCHESTRATOR, TICKETS, network_of
from tests.builders.unruly_rpc import UnrulyRpc, an_unruly_rpc
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.chain import Devchain

POLLING_AN_HOUR = 3 * 3600 / 5
L1_BLOCK_S, IDLE_LOOK_S = 12.0, 60.0
ROUND_BLOCKS, LOCAL_ROUND_BLOCKS = 6377, 400  # of Arbitrum One; here, where its end stays far away too
TARGET = 5
SETTLE_S = 10.0

RARE_AN_HOUR = {
    "contracts read again every half hour": (1800, 2 * 7),
    "the last look's block looked for again every 10 minutes": (600, 6),
    "addresses looked up again every hour": (3600, 6),
    # 18 s of two looks a second before it; two requests a look at a round that nobody has initialised, less often from
    # a minute on; then the readings of the watcher and of the reward duty.
    "a round's beginning, initialised after two minutes": (
        ROUND_BLOCKS * L1_BLOCK_S, (36 + 120 * 2 + 30 * 2 + 60) * 3600 / (ROUND_BLOCKS * L1_BLOCK_S),
    ),
}  # fmt: skip
"""What happens once in so many seconds, and its requests an hour."""


async def measured(folder: Path, seconds: float) -> tuple[Counter[str], UnrulyRpc, dict]:
    """What is asked in a while."""
    root = folder / "node"
    write_key(root / "var/lib/livefleet/keys/orchestrator.hex", dev_secret(ORCHESTRATOR))
    chain = await Devchain.up(folder / "chain", round_length=LOCAL_ROUND_BLOCKS, block_time_s=L1_BLOCK_S)
    try:
        async with chain, an_unruly_rpc(chain.info.rpc) as endpoint:
            await chain.activate_orchestrator(dev_signer(ORCHESTRATOR), service_uri="https://127.0.0.1:1")
            await chain.fund_gateway(dev_signer(GATEWAY).address, deposit=Wei(10**18), reserve=Wei(10**18))
            network = network_of(chain.info) | {
                "rpc": [endpoint.url], "l1_block_s": L1_BLOCK_S, "idle_look_s": IDLE_LOOK_S,
            }  # fmt: skip
            with an_agent(
                root,
                start=False,
                role="orchestrator",
                network=network,
                keys={"orchestrator": {"file": "keys/orchestrator.hex"}},
                gpus="none",
                duties={"transcoding": {"encoder": "software"}, "redemption": {}, "reward": {}},
                prices={"video": "100000 wei"},
                orchestrator={"key": "orchestrator", "ticket": TICKETS},
            ) as agent:
                await asyncio.to_thread(agent.start)
                await asyncio.to_thread(agent.until_condition, "RewardCalled", "Called")
                await asyncio.sleep(SETTLE_S)
                endpoint.forget_counts()
                await asyncio.sleep(seconds)
                counted = Counter(endpoint.methods)
                status = await asyncio.to_thread(agent.status)
            return counted, endpoint, status
    finally:
        await Devchain.down(folder / "chain")


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=120)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    if given.seconds < 2 * IDLE_LOOK_S:
        options.error(f"a look comes every {IDLE_LOOK_S:g} s: measure for {2 * IDLE_LOOK_S:g} s at least")
    with tempfile.TemporaryDirectory() as scratch:
        counted, endpoint, status = asyncio.run(measured(Path(scratch), given.seconds))
    hourly = {method: count * 3600 / given.seconds for method, count in counted.most_common()}
    rare = {name: count for name, (every_s, count) in RARE_AN_HOUR.items() if every_s > given.seconds}
    total = sum(hourly.values()) + sum(rare.values())
    ratio = POLLING_AN_HOUR / total
    if given.json:
        print(json.dumps({"measured": hourly, "rare": rare, "total": total, "ratio": ratio}))
        return int(ratio < TARGET)
    print(f"idle for {given.seconds:g} s, an L1 block in {L1_BLOCK_S:g} s, a look in {IDLE_LOOK_S:g} s")
    print(f"{'requests an hour':<66}{'':>8}")
    for name, count in (*hourly.items(), *rare.items()):
        print(f"  {name:<64}{count:>8.0f}")
    print(f"  {'all':<64}{total:>8.0f}")
    for selector, count in endpoint.calls.most_common():
        print(f"  of these eth_calls of {selector:<42}{count * 3600 / given.seconds:>8.0f}")
    assert status["chain"]["round_initialized"]
    print(f"polling for block, gas price and logs every 5 s: {POLLING_AN_HOUR:.0f}, {ratio:.1f} times as many")
    print(f"target: {TARGET} times: {'met' if ratio >= TARGET else 'MISSED'}")
    return int(ratio < TARGET)


if __name__ == "__main__":
    sys.exit(main())
