"""Own stake on its ways: unbonded, bonded again, given away, withdrawn; and delegators on theirs."""

import pytest

from livefleet.chain.abi import Function
from livefleet.kernel import ZERO_ADDRESS
from livefleet.ledger import Account, AccountKind, Currency, EntryKind, Ledger
from tests.builders.busy_orchestrator import DELEGATOR, ORCHESTRATOR, PARTIES, RIVAL, begin, delegate, head, reward
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component

UNBOND = Function.parse("unbond(uint256 amount)")
REBOND = Function.parse("rebond(uint256 id)")
WITHDRAW_STAKE = Function.parse("withdrawStake(uint256 id)")
TRANSFER_BOND = Function.parse(
    "transferBond(address delegator, uint256 amount, address a, address b, address c, address d)"
)
BOND = Function.parse("bond(uint256 amount, address to)")


async def test_advance__stake_on_all_its_ways__closes_to_the_last_unit(devchain, tmp_path):
    bonding = devchain.client.bonding

    async def does(signer, function, *args):
        await devchain.sender.send(signer, bonding.call(function, *args))

    begun = await begin(devchain)
    async with Ledger(devchain.client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun) as ledger:

        async def closes():
            await ledger.advance(await head(devchain))
            assert (await ledger.check()).differences == ()

        await reward(devchain)
        await does(ORCHESTRATOR, UNBOND, 100 * LPT)
        await does(ORCHESTRATOR, UNBOND, 60 * LPT)
        await closes()
        await does(ORCHESTRATOR, REBOND, 1)
        await does(ORCHESTRATOR, TRANSFER_BOND, DELEGATOR.address, 30 * LPT + 1, *[ZERO_ADDRESS] * 4)
        await closes()
        await devchain.next_round()
        await reward(devchain)
        await does(DELEGATOR, TRANSFER_BOND, ORCHESTRATOR.address, 7 * LPT, *[ZERO_ADDRESS] * 4)
        await does(DELEGATOR, UNBOND, 50 * LPT)
        await does(DELEGATOR, BOND, 0, RIVAL.address)
        await closes()
        await delegate(devchain, 11 * LPT)  # on top of what lies with the other
        await closes()
        for _ in range(7):
            await devchain.next_round()
        await does(ORCHESTRATOR, WITHDRAW_STAKE, 0)
        await closes()
        assert (await ledger.check()).balanced
        balances = await ledger.balances()
        assert balances[Account(AccountKind.UNBONDING), Currency.LPT] == 0
        assert balances[Account(AccountKind.WALLET, ORCHESTRATOR.address), Currency.LPT] == 100 * LPT
        kinds = {entry.kind for entry in await ledger.entries()}
        assert {EntryKind.UNBOND, EntryKind.REBOND, EntryKind.BOND_TRANSFER, EntryKind.STAKE_WITHDRAWAL} <= kinds
