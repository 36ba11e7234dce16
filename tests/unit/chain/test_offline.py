"""Prepared and signed proposals as files: what was changed on the way is found."""

import asyncio
import json
from dataclasses import replace

import pytest

from livefleet.chain import (
    Call,
    LocalSigner,
    PreparedProposal,
    SignedProposal,
    propose,
    proposed_call,
    read_proposal,
    sign_prepared,
)
from livefleet.chain.contracts.bonding_manager import BOND
from livefleet.chain.contracts.livepeer_token import APPROVE
from livefleet.chain.fees import Fees
from livefleet.kernel import Address, BadInput, Wei

pytestmark = pytest.mark.unit

SIGNER, OTHER = LocalSigner(b"\x22" * 32), LocalSigner(b"\x33" * 32)  # test-only
TOKEN = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
BONDING = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")


def prepared(**changes) -> PreparedProposal:
    calls = [
        proposed_call(Call(TOKEN, APPROVE.encode(BONDING, 5)), APPROVE),
        proposed_call(Call(BONDING, BOND.encode(5, SIGNER.address)), BOND),
    ]
    facts = {"chain_id": 42161, "signer": SIGNER.address, "topic": "stake", "title": "stake", "reason": "declared"}
    proposal = propose(**(facts | changes), calls=calls, made_at=1.0)
    fees = Fees(Wei(10**8), Wei(0))
    return PreparedProposal(proposal, 7, fees, (100_000, 900_000), (1,), {TOKEN: "LivepeerToken"}, 2.0)


def signed(signer=SIGNER, **changes) -> SignedProposal:
    return asyncio.run(sign_prepared(prepared(**changes), signer))


def test_prepared__most_that_it_costs__is_gas_at_the_highest_fee():
    assert prepared().most == 1_000_000 * 10**8


def test_files__read_back_equal():
    assert read_proposal(prepared().to_json()) == prepared()
    assert read_proposal(prepared().proposal.to_json()) == prepared().proposal
    assert SignedProposal.from_json(signed().to_json()) == signed()


def test_signed__transactions__are_the_calls_with_consecutive_nonces():
    transactions = signed().transactions
    assert [one.nonce for one in transactions] == [7, 8]
    assert [one.to for one in transactions] == [TOKEN, BONDING]
    assert {one.sender for one in transactions} == {SIGNER.address}
    assert [one.gas for one in transactions] == [100_000, 900_000]


def test_sign__another_keys_proposal__is_refused():
    with pytest.raises(BadInput, match=f"the key is that of {OTHER.address}, the proposal is for {SIGNER.address}"):
        signed(OTHER)


def test_read__signed_file__is_told_to_be_broadcast():
    with pytest.raises(BadInput, match="signed already"):
        read_proposal(signed().to_json())


@pytest.mark.parametrize("text", ["", "[]", "7", "{", '{"kind": 1}'])
def test_read__no_proposal__says_so(text):
    with pytest.raises(BadInput, match="this is no"):
        read_proposal(text)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("gas", [100_000], "gas for 1 calls, its proposal has 2"),
        ("gas", [100_000, 20_999], "gas"),
        ("max_fee", 0, "max_fee"),
        ("nonce", -1, "nonce"),
        ("version", 2, "version"),
        ("more", 1, "more"),
    ],
)
def test_prepared__changed_file__is_refused(field, value, said):
    file = json.loads(prepared().to_json()) | {field: value}
    with pytest.raises(BadInput, match=said):
        PreparedProposal.from_json(json.dumps(file))


def test_prepared__changed_proposal_inside__is_refused():
    file = json.loads(prepared().to_json())
    file["proposal"]["calls"][1]["value"] = "1"
    with pytest.raises(BadInput, match="it was changed after it was made"):
        PreparedProposal.from_json(json.dumps(file))


def raw_of(**changes) -> tuple[bytes, bytes]:
    """Raw transactions of the same calls, made for something else."""
    one, two = asyncio.run(sign_prepared(replace(prepared(), **changes), SIGNER)).raw
    return one, two


def test_signed__foreign_transactions__are_refused():
    right = signed()
    elsewhere = signed(chain_id=1)
    mine = propose(
        chain_id=42161,
        signer=OTHER.address,
        topic="stake",
        title="stake",
        reason="declared",
        calls=right.proposal.calls,
        made_at=1.0,
    )
    others = asyncio.run(sign_prepared(replace(prepared(), proposal=mine), OTHER))
    cases = [
        (elsewhere.raw, "is for chain 1, wanted is 42161"),
        (others.raw, f"is signed by {OTHER.address}, wanted is {SIGNER.address}"),
        (right.raw[::-1], "transaction 1 is not call 1"),
        (right.raw[:1], "1 transactions are signed, the proposal has 2 calls"),
        ((right.raw[0], raw_of(nonce=9)[1]), "has nonce 10, which does not follow"),
    ]
    for raw, said in cases:
        file = json.loads(right.to_json()) | {"raw": ["0x" + one.hex() for one in raw]}
        with pytest.raises(BadInput, match=said):
            SignedProposal.from_json(json.dumps(file))
