import pytest
from eth_abi.abi import encode

from livefleet.chain.errors import NodeError, revert_reason

pytestmark = pytest.mark.unit


def test_revert_reason__error_string__is_its_text():
    assert revert_reason(bytes.fromhex("08c379a0") + encode(["string"], ["ticket is used"])) == "ticket is used"


def test_revert_reason__panic__names_its_code():
    assert revert_reason(bytes.fromhex("4e487b71") + encode(["uint256"], [0x11])) == "Panic(0x11)"


def test_revert_reason__custom_error__keeps_the_raw_data():
    assert revert_reason(bytes.fromhex("b3808bab")) == "custom error 0xb3808bab"


def test_revert_reason__no_data__comes_from_the_message():
    assert revert_reason(b"", "execution reverted: ticket is expired") == "ticket is expired"
    assert revert_reason(b"", "execution reverted") == ""


def test_revert_reason__cut_off_data__is_a_node_error():
    with pytest.raises(NodeError, match="no string"):
        revert_reason(bytes.fromhex("08c379a0") + b"\1")
