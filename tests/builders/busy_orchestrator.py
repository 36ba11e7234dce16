"""An orchestrator to whom everything happens that books have to hold: for the ledger's, reports' and views' tests."""

from livefleet.chain import Call
from livefleet.chain.abi import Function
from livefleet.kernel import ZERO_ADDRESS, Wei
from livefleet.ledger import Parties
from tests.builders.chain import a_ticket
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.deploy import LPT

ORCHESTRATOR, REDEEMER, DELEGATOR, RICH, POOR, STRANGER, RIVAL = (dev_signer(index) for index in range(1, 8))
PARTIES = Parties.of(ORCHESTRATOR.address, REDEEMER.address)
ETH = 10**18

SET_TREASURY_CUT = Function.parse("setTreasuryRewardCutRate(uint256 rate)")
TRANSFER_LPT = Function.parse("transfer(address to, uint256 amount) returns (bool)")


async def begin(chain) -> int:
    """Two orchestrators and a delegator of the first; the block then."""
    await chain.activate_orchestrator(ORCHESTRATOR)
    await chain.activate_orchestrator(RIVAL, stake=700 * LPT)
    await delegate(chain)
    return await head(chain)


async def head(chain) -> int:
    return await chain.client.rpc.block_number()


async def delegate(chain, amount=500 * LPT, *, to=ORCHESTRATOR, who=DELEGATOR):
    await chain.give_lpt(who.address, amount)
    client = chain.client
    await chain.sender.send(
        who,
        client.token.approve_call(client.bonding.address, amount),
        client.bonding.bond_call(amount, to.address),
    )


async def redeem(chain, gateway, *, face, nonce):
    client = chain.client
    ticket = await a_ticket(client, gateway, ORCHESTRATOR.address, face_value=Wei(face), sender_nonce=nonce)
    await chain.sender.send(REDEEMER, ticket.redeem_call(client.broker))
    return ticket


async def reward(chain, who=ORCHESTRATOR):
    await chain.sender.send(who, chain.client.bonding.reward_call(ZERO_ADDRESS, ZERO_ADDRESS))


async def busy_rounds(chain) -> None:
    """Rewards with a treasury's cut, tickets paid in full, in part and not at all, withdrawals, plain transfers."""
    client = chain.client
    await chain.fund_gateway(RICH.address, deposit=Wei(ETH), reserve=Wei(ETH))
    await chain.fund_gateway(POOR.address, deposit=Wei(ETH // 1000), reserve=Wei(ETH // 7))
    await chain.sender.send(dev_signer(DEPLOYER), client.bonding.call(SET_TREASURY_CUT, 10**26))
    for turn in range(3):
        await chain.next_round()
        await redeem(chain, RICH, face=ETH // 97 + turn, nonce=10 * turn + 1)
        await reward(chain)
        await redeem(chain, RICH, face=ETH // 89 + turn, nonce=10 * turn + 2)
        await redeem(chain, POOR, face=ETH, nonce=10 * turn + 3)
        await redeem(chain, POOR, face=ETH, nonce=10 * turn + 4)
        if turn == 1:
            await delegate(chain, 333 * LPT + 1)
    fees = await client.bonding.pending_fees(ORCHESTRATOR.address)
    await chain.sender.send(ORCHESTRATOR, client.bonding.withdraw_fees_call(ORCHESTRATOR.address, Wei(fees // 3)))
    await chain.sender.send(ORCHESTRATOR, client.bonding.withdraw_fees_call(STRANGER.address, Wei(fees // 7)))
    await chain.sender.send(RICH, Call(to=ORCHESTRATOR.address, data=b"", value=Wei(12_345)))
    await chain.sender.send(ORCHESTRATOR, Call(to=STRANGER.address, data=b"", value=Wei(777)))
    await chain.sender.send(ORCHESTRATOR, Call(to=REDEEMER.address, data=b"", value=Wei(888)))
    await chain.give_lpt(ORCHESTRATOR.address, 50 * LPT)
    await chain.sender.send(ORCHESTRATOR, client.token.call(TRANSFER_LPT, STRANGER.address, 3 * LPT))
    await chain.sender.send(
        ORCHESTRATOR,
        client.token.approve_call(client.bonding.address, 40 * LPT),
        client.bonding.bond_call(40 * LPT, ORCHESTRATOR.address),
    )
    await chain.next_round()
