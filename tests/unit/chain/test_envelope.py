import contextlib

import pytest
import rlp
from coincurve import PrivateKey
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import keccak256
from livefleet.chain.envelope import parse_signed, signed_bytes, unsigned_bytes
from livefleet.kernel import BadInput

pytestmark = pytest.mark.unit

SECRET = bytes.fromhex("22" * 32)  # test-only
ADDRESS = Account.from_key(SECRET).address
CALL = {
    "type": 2,
    "chainId": 42161,
    "nonce": 7,
    "to": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    "data": b"",
    "value": 0,
    "gas": 100_000,
    "maxFeePerGas": 2 * 10**9,
    "maxPriorityFeePerGas": 10**8,
}


@given(
    nonce=st.integers(0, 2**64 - 2),
    value=st.integers(0, 2**128),
    gas=st.integers(0, 2**63),
    tip=st.integers(0, 2**63),
    over=st.integers(0, 2**63),
    data=st.binary(max_size=200),
)
def test_envelope__any_fields__is_what_eth_account_makes_and_reads_back(nonce, value, gas, tip, over, data):
    fields = {
        **CALL,
        "nonce": nonce,
        "value": value,
        "gas": gas,
        "maxPriorityFeePerGas": tip,
        "maxFeePerGas": tip + over,
        "data": data,
    }
    raw = PrivateKey(SECRET).sign_recoverable(keccak256(unsigned_bytes(fields)), hasher=None)
    signed = parse_signed(signed_bytes(fields, raw[:64] + bytes([raw[64] + 27])))
    assert (signed.sender, signed.nonce, signed.value, signed.gas) == (ADDRESS, nonce, value, gas)
    assert (signed.tip, signed.max_fee, signed.data, signed.to) == (tip, tip + over, data, CALL["to"])
    assert bytes(Account.from_key(SECRET).sign_transaction(fields).hash) == signed.hash


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"\x01\xc0", b"\xf8\x01", b"\x02" + b"\xff" * 40])
def test_parse_signed__no_signed_transaction__says_so(raw):
    with pytest.raises(BadInput, match="no signed EIP-1559 transaction"):
        parse_signed(raw)


@given(st.binary(max_size=300))
def test_parse_signed__any_bytes__raise_bad_input_at_most(raw):
    with contextlib.suppress(BadInput):
        parse_signed(b"\x02" + raw)


@given(st.lists(st.one_of(st.binary(max_size=33), st.lists(st.binary(max_size=4), max_size=2)), max_size=13))
def test_parse_signed__any_fields__raise_bad_input_at_most(fields):
    with contextlib.suppress(BadInput):
        parse_signed(b"\x02" + rlp.encode(fields))


def test_parse_signed__changed_after_signing__is_not_of_the_signer():
    raw = bytes(Account.from_key(SECRET).sign_transaction(CALL).raw_transaction)
    changed = raw.replace(CALL["gas"].to_bytes(3), (CALL["gas"] + 1).to_bytes(3))
    assert changed != raw
    assert parse_signed(raw).sender == ADDRESS
    assert parse_signed(changed).sender != ADDRESS
