"""The local chain: seconds until it is up, and its gas beside the known: `python -m tests.benchmarks.devchain`.

The known figures are of the protocol's own contracts on a plain EVM chain; ours are written anew, and what differs much
would mislead whoever measures costs here. Nothing fails but what leaves a factor of two.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from livefleet.chain import Signer
from livefleet.chain.contracts import Support
from livefleet.chain.governance import Governance
from livefleet.chain.pool import neighbours, read_pool
from livefleet.kernel import ZERO_ADDRESS, Wei
from tests.builders.chain import a_devchain, a_ticket
from tests.builders.protocol import call_of
from tests.devchain.accounts import dev_signer
from tests.devchain.chain import TRANSFER, Devchain
from tests.devchain.deploy import LPT

STARTS = 5
FACTOR = 2
ORCHESTRATOR, OTHER, DELEGATOR, GATEWAY, REDEEMER = (dev_signer(index) for index in (1, 2, 3, 4, 7))

KNOWN = {  # thousands of gas
    "initializeRound": (213, 252),
    "approve": (46, 46),
    "first self-bond, small pool": (597, 637),
    "first bond of a delegator": (470, 624),
    "top-up of a delegator": (298, 298),
    "transcoder, first": (138, 138),
    "setServiceURI, first": (60, 60),
    "setServiceURI, update": (45, 45),
    "reward, exact hint, steady": (483, 494),
    "setRewardCaller": (61, 61),
    "rewardForTranscoderWithHint": (550, 550),
    "fundDepositAndReserve, first": (108, 108),
    "redeem, first of the round": (233, 255),
    "redeem, later": (182, 201),
    "batch of 5": (511, 511),
    "batch of 10": (904, 904),
    "withdrawFees": (366, 366),
    "unbond": (327, 481),
    "rebond": (251, 251),
    "propose": (164, 164),
    "castVote by an orchestrator": (168, 168),
    "castVoteWithReason by its delegator": (294, 294),
    "queue": (187, 187),
    "execute": (201, 201),
}


async def start_up() -> list[float]:
    """Seconds of each start, tools and contracts cached."""
    taken = []
    for _ in range(STARTS + 1):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            async with a_devchain(Path(folder)):
                taken.append(time.perf_counter() - began)
    return taken[1:]


class Meter:
    """Makes calls and keeps what they cost."""

    def __init__(self, chain: Devchain) -> None:
        self.chain = chain
        self.gas: dict[str, int] = {}

    async def send(self, what: str, signer: Signer, call: Any) -> dict[str, Any]:
        """Send, and note the gas under `what`."""
        (receipt,) = await self.chain.sender.send(signer, call)
        self.gas[what] = int(receipt["gasUsed"], 16)
        return receipt


async def measure(chain: Devchain) -> dict[str, int]:
    """Gas of what orchestrators, delegators, gateways and voters do."""
    meter, client, bonding = Meter(chain), chain.client, chain.client.bonding
    await chain.activate_orchestrator(OTHER, advance=False)
    await chain.bring_up_to(ORCHESTRATOR.address, eth=Wei(10**18), lpt=1_000 * LPT)
    await meter.send("approve", ORCHESTRATOR, client.token.approve_call(bonding.address, 1_000 * LPT))
    bond = bonding.bond_call(1_000 * LPT, ORCHESTRATOR.address)
    await meter.send("first self-bond, small pool", ORCHESTRATOR, bond)
    cuts = bonding.transcoder_call(reward_cut=100_000, fee_share=500_000)
    await meter.send("transcoder, first", ORCHESTRATOR, cuts)
    for what in ("setServiceURI, first", "setServiceURI, update"):
        uri = client.services.set_service_uri_call("https://orchestrator.example.org:89" + str(len(what)))
        await meter.send(what, ORCHESTRATOR, uri)
    await chain.bring_up_to(DELEGATOR.address, lpt=400 * LPT)
    await chain.sender.send(DELEGATOR, client.token.approve_call(bonding.address, 400 * LPT))
    await meter.send("first bond of a delegator", DELEGATOR, bonding.bond_call(200 * LPT, ORCHESTRATOR.address))
    await meter.send("top-up of a delegator", DELEGATOR, bonding.bond_call(200 * LPT, ORCHESTRATOR.address))
    for _ in range(2):
        await chain.next_round(initialize=False)
        await meter.send("initializeRound", REDEEMER, client.rounds.initialize_round_call())
        await meter.send("reward, exact hint, steady", ORCHESTRATOR, await _reward(chain))
    await _money(meter)
    await _votes(meter)
    return meter.gas


async def _reward(chain: Devchain) -> Any:
    client = chain.client
    pool = await read_pool(client.bonding, await client.rpc.block_number())
    own = next(member.stake for member in pool if member.address == ORCHESTRATOR.address)
    previous, following = neighbours(pool, ORCHESTRATOR.address, own, 100)
    return client.bonding.reward_call(previous, following)


async def _money(meter: Meter) -> None:
    chain, client, bonding = meter.chain, meter.chain.client, meter.chain.client.bonding
    await meter.send("setRewardCaller", ORCHESTRATOR, bonding.set_reward_caller_call(REDEEMER.address))
    await meter.send("fundDepositAndReserve, first", GATEWAY, client.broker.fund_call(Wei(10**18), Wei(10**18)))
    await chain.next_round()
    tickets = [
        await a_ticket(client, GATEWAY, ORCHESTRATOR.address, face_value=Wei(10**9), sender_nonce=nonce)
        for nonce in range(1, 18)
    ]
    for what, ticket in zip(("redeem, first of the round", "redeem, later"), tickets, strict=False):
        await meter.send(what, REDEEMER, ticket.redeem_call(client.broker))
    for what, some in (("batch of 5", tickets[2:7]), ("batch of 10", tickets[7:17])):
        await meter.send(what, REDEEMER, client.broker.batch_redeem_call([one.signed_ticket for one in some]))
    hinted = bonding.reward_for_call(ORCHESTRATOR.address, ZERO_ADDRESS, OTHER.address)
    await meter.send("rewardForTranscoderWithHint", REDEEMER, hinted)
    await chain.next_round()
    fees = await bonding.pending_fees(ORCHESTRATOR.address)
    await meter.send("withdrawFees", ORCHESTRATOR, bonding.withdraw_fees_call(ORCHESTRATOR.address, fees))
    await meter.send("unbond", DELEGATOR, call_of(bonding.address, "unbond(uint256)", LPT))
    await meter.send("rebond", DELEGATOR, call_of(bonding.address, "rebond(uint256)", 0))


async def _votes(meter: Meter) -> None:
    chain = meter.chain
    governance = await Governance.find(chain.client)
    governor = governance.governor
    await chain.next_round()
    pay = TRANSFER.encode(GATEWAY.address, LPT)
    call = governor.propose_call([chain.client.token.address], [Wei(0)], [pay], "# Pay one LPT")
    await meter.send("propose", ORCHESTRATOR, call)
    (proposal,) = (await governance.begun(0, await chain.client.rpc.block_number())).proposals
    await chain.next_round()
    await chain.next_round()
    await meter.send("castVote by an orchestrator", ORCHESTRATOR, governor.cast_vote_call(proposal.id, Support.FOR))
    reasoned = governor.cast_vote_call(proposal.id, Support.FOR, "because")
    await meter.send("castVoteWithReason by its delegator", DELEGATOR, reasoned)
    while await governance.current_round() <= proposal.deadline:
        await chain.next_round()
    await chain.bring_up_to(governance.treasury.address, lpt=LPT)
    await meter.send("queue", REDEEMER, governor.queue_call(proposal))
    await meter.send("execute", REDEEMER, governor.execute_call(proposal))


async def main() -> int:
    """Print both; 1 where a figure leaves the factor."""
    taken = await start_up()
    print(f"up in {statistics.median(taken):.2f} s (median of {STARTS}; {min(taken):.2f} to {max(taken):.2f})\n")
    with tempfile.TemporaryDirectory() as folder:
        async with a_devchain(Path(folder), round_length=60) as chain:
            gas = await measure(chain)
    print(f"{'thousands of gas':38} {'known':>11} {'here':>6}  ratio")
    worst = 1.0
    for what, (least, most) in KNOWN.items():
        here = gas[what] / 1000
        ratio = here / min(max(here, least), most)
        worst = max(worst, ratio, 1 / ratio)
        known = f"{least}" if least == most else f"{least} to {most}"
        print(f"{what:38} {known:>11} {here:6.0f}  {ratio:5.2f}")
    print(f"\nfurthest from the known: a factor of {worst:.2f}; allowed {FACTOR}")
    return 0 if worst <= FACTOR else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
