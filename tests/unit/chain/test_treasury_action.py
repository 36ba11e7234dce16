import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.abi import Function
from livefleet.chain.treasury_action import describe
from livefleet.kernel import Address, Wei

pytestmark = pytest.mark.unit

TOKEN = Address("0x289ba1701C2F088cf0faf8B3705246331cB8A839")
BONDING = Address("0x35Bcf3c30594191d53231E4FF333E8A770453e40")
GOVERNOR = Address("0xcFE4E2879B786C3aa075813F0E364bb5acCb6aa0")
PAYEE = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
NAMES = {TOKEN: "LivepeerToken", BONDING: "BondingManager", GOVERNOR: "LivepeerGovernor"}


def _data(signature: str, *values: object) -> bytes:
    return Function.parse(signature).encode(*values)


@pytest.mark.parametrize(
    ("target", "value", "data", "text"),
    [
        (TOKEN, 0, _data("transfer(address,uint256)", PAYEE, 15 * 10**17), f"pays 1.5 LPT to {PAYEE}"),
        (PAYEE, 25 * 10**16, b"", f"pays 0.25 ETH to {PAYEE}"),
        (TOKEN, 1, b"", f"pays 0.000000000000000001 ETH to LivepeerToken ({TOKEN})"),
        (
            BONDING,
            0,
            _data("setTreasuryRewardCutRate(uint256)", 10**26),
            "sets the treasury's share of rewards to 10% from the next round on",
        ),
        (
            BONDING,
            0,
            _data("setTreasuryRewardCutRate(uint256)", 1),
            "sets the treasury's share of rewards to 1 / 10^27 from the next round on",
        ),
        (GOVERNOR, 0, _data("updateQuorumNumerator(uint256)", 333_300), "sets the quorum to 33.33% of all stake"),
    ],
)
def test_describe__known_function_on_its_contract__is_said_in_words(target, value, data, text):
    action = describe(target, Wei(value), data, NAMES)
    assert (action.text, action.is_known) == (text, True)


def test_describe__known_function_on_another_contract__is_not_taken_for_the_same():
    action = describe(PAYEE, Wei(0), _data("transfer(address,uint256)", TOKEN, 5), NAMES)
    assert action.text == f"calls transfer({TOKEN}, 5) of {PAYEE}"
    assert not action.is_known


def test_describe__more_calldata_than_the_arguments__is_shown_raw():
    data = _data("transfer(address,uint256)", PAYEE, 5) + b"\x01"
    action = describe(TOKEN, Wei(0), data, NAMES)
    assert not action.is_known
    assert data[4:].hex() in action.text
    assert "0xa9059cbb" in action.text


def test_describe__unknown_function_with_ether__says_selector_arguments_and_ether():
    action = describe(BONDING, Wei(10**18), bytes.fromhex("deadbeef0102"), NAMES)
    assert action.text == f"calls selector 0xdeadbeef of BondingManager ({BONDING}) with 0x0102 and pays it 1 ETH"
    assert not action.is_known


@given(st.sampled_from([*NAMES, PAYEE]), st.integers(0, 2**256 - 1), st.binary(max_size=200))
def test_describe__any_calldata__has_a_text_that_hides_nothing(target, value, data):
    action = describe(target, Wei(value), data, NAMES)
    if not action.is_known:
        assert data[:4].hex() in action.text
        assert data[4:].hex() in action.text


@given(st.integers(0, 2**160 - 1), st.integers(0, 2**256 - 1))
def test_describe__any_payment__names_payee_and_amount(payee, amount):
    to = f"0x{payee:040x}"
    action = describe(TOKEN, Wei(0), _data("transfer(address,uint256)", to, amount), NAMES)
    assert action.is_known
    assert to in action.text.lower()
    whole, _, rest = action.text.split()[1].partition(".")
    assert int(whole) * 10**18 + int(rest.ljust(18, "0") or "0") == amount
