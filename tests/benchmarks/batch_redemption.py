"""Gas a ticket, single against batches: `python -m tests.benchmarks.batch_redemption`.

On a local chain with the protocol's contracts, from receipts: a single redemption (the orchestrator's first of a round
left out, which writes more) against batches of 2, 3, 5 and 10, all paid from the deposit. Arbitrum adds its L1 part to
both, by the byte of calldata, which a batch saves little of. Beside it what a batch comes to at the gas that
eth_estimateGas gives for it, and the gas limit that we give.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from livefleet.chain import SpendLimit
from livefleet.kernel import Wei
from livefleet.payments.redemption_gas import batch_gas_limit, single_gas_limit
from tests.builders.chain import a_devchain
from tests.builders.redeeming import LocalRedeeming, a_local_winner, signed_ticket
from tests.devchain.accounts import dev_signer

GATEWAY, ORCHESTRATOR = (dev_signer(index) for index in (4, 1))
SIZES = (1, 2, 3, 5, 10)
CHEAPER_FROM = 3  # tickets: a batch of so many has to take less gas a ticket than a single redemption


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        ratios = asyncio.run(measure(Path(scratch)))
    too_dear = {size: ratio for size, ratio in ratios.items() if size >= CHEAPER_FROM and ratio >= 1}
    for size, ratio in too_dear.items():
        print(f"a batch of {size} takes {ratio:.2f} of a single redemption's gas a ticket: not less")
    return 1 if too_dear else 0


async def measure(scratch: Path) -> dict[int, float]:
    """Gas a ticket over that of a single redemption, by size."""
    async with a_devchain(scratch / "chain", round_length=1000) as chain:
        await chain.activate_orchestrator(ORCHESTRATOR)
        await chain.fund_gateway(GATEWAY.address, deposit=Wei(10**19), reserve=Wei(10**18))
        async with LocalRedeeming(chain, scratch, ORCHESTRATOR.address) as local:
            await redeem(local, 1, first=10_000)
            single = 0
            ratios = {}
            print("tickets   gas used   gas a ticket   of a single one   our limit   at the node's estimate")
            for size in SIZES:
                used, limit, at_estimate = await redeem(local, size, first=100 * size)
                single = single or used
                ratios[size] = used / size / single
                print(
                    f"{size:7} {used:10,} {used / size:14,.0f} {ratios[size]:17.2f} {limit:11,}"
                    f"   {at_estimate} of {size} redeemed"
                )
    return ratios


async def redeem(local: LocalRedeeming, size: int, *, first: int) -> tuple[int, int, int]:
    """Gas used, our limit, and how many the node's own estimate would have redeemed."""
    client = local.client
    winners = [
        await a_local_winner(client, GATEWAY, ORCHESTRATOR.address, nonce=first + index) for index in range(size)
    ]
    survey = await local.broker.survey(winners)
    estimates = [survey.trials[winner.ticket.hash].gas for winner in winners]
    limit = single_gas_limit(estimates[0]) if size == 1 else batch_gas_limit(estimates, claims=0)
    signed = [signed_ticket(winner) for winner in winners]
    call = client.broker.redeem_call(signed[0]) if size == 1 else client.broker.batch_redeem_call(signed)
    naive = await client.rpc.estimate_gas(call, local.transactions.address)
    before = await client.rpc.request("evm_snapshot")
    fooled = await local.broker.redeem(winners, gas=naive, limit=SpendLimit())
    await client.rpc.request("evm_revert", before)
    again = [
        await a_local_winner(client, GATEWAY, ORCHESTRATOR.address, nonce=first + 50 + index) for index in range(size)
    ]
    mined = await local.broker.redeem(again, gas=limit, limit=SpendLimit())
    assert len(mined.paid) == size, f"our limit redeemed {len(mined.paid)} of {size}"
    return mined.gas_used, limit, len(fooled.paid)


if __name__ == "__main__":
    sys.exit(main())
