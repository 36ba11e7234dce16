"""What is shown before somebody signs: decoded, with units and names."""

import pytest

from livefleet.chain import Call, ProposedCall, describe, proposed_call
from livefleet.chain.contracts.bonding_manager import BOND, SET_REWARD_CALLER, TRANSCODER, WITHDRAW_FEES
from livefleet.chain.contracts.livepeer_token import APPROVE
from livefleet.kernel import ZERO_ADDRESS, Address, BadInput, Wei

pytestmark = pytest.mark.unit

BONDING = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
SOMEBODY = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
NAMES = {BONDING: "BondingManager"}


def words(function, *arguments, to=BONDING, names=NAMES):
    return describe(proposed_call(Call(to, function.encode(*arguments)), function), names)


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (BOND, (1500 * 10**18, SOMEBODY), {"amount": "1500 LPT", "to": SOMEBODY}),
        (WITHDRAW_FEES, (SOMEBODY, 2 * 10**17), {"recipient": SOMEBODY, "amount": "0.2 ETH"}),
        (
            TRANSCODER,
            (100_000, 950_000),
            {"rewardCut": "10%", "feeShare": "95% of the fees to delegators, that is a fee cut of 5%"},
        ),
        (SET_REWARD_CALLER, (ZERO_ADDRESS,), {"rewardCaller": f"{ZERO_ADDRESS} (nobody)"}),
        (APPROVE, (BONDING, 1), {"spender": f"{BONDING} (BondingManager)", "amount": "0.000000000000000001 LPT"}),
    ],
)
def test_describe__amounts_and_addresses__have_units_and_names(function, arguments, said):
    found = words(function, *arguments)
    assert dict(found.arguments) == said
    assert found.does.startswith(f"{function.name}: ")


def test_describe__unlimited_approval__is_called_what_it_is():
    assert dict(words(APPROVE, BONDING, 2**256 - 1).arguments)["amount"].startswith("all of it, now and later")


def test_describe__unknown_contract__has_no_name():
    assert words(BOND, 1, SOMEBODY).is_known
    assert not words(BOND, 1, SOMEBODY, to=SOMEBODY).is_known


def test_describe__transfer_of_eth__says_how_much_goes_where():
    found = describe(ProposedCall(SOMEBODY, "", (), b"", Wei(10**18)), {})
    assert (found.does, found.value) == (f"sends {10**18} wei to {SOMEBODY}", "1 ETH")
    assert found.is_known


def test_describe__text_that_is_not_the_calldata__is_refused():
    call = ProposedCall(BONDING, BOND.signature, ("1", SOMEBODY), BOND.encode(2, SOMEBODY))
    with pytest.raises(BadInput, match="somebody changed one of them: do not sign"):
        describe(call, NAMES)
