"""Proposals: what is written is what is done, and what was changed is found."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.abi import Function
from livefleet.chain.argument_text import from_text, to_text
from livefleet.chain.models import Call
from livefleet.chain.proposal import MEANINGS, Proposal, ProposedCall, propose, proposed_call
from livefleet.chain.proposal_box import ProposalBox
from livefleet.chain.signature import checksum_address
from livefleet.kernel import Address, BadInput, Wei

pytestmark = pytest.mark.unit

SIGNER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
CONTRACT = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
TRANSCODER = Function.parse("transcoder(uint256 rewardCut, uint256 feeShare)")

_addresses = st.binary(min_size=20, max_size=20).map(checksum_address)
_values = {
    "uint256": st.integers(0, 2**256 - 1),
    "uint8": st.integers(0, 255),
    "address": _addresses,
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
}


@st.composite
def _calls(draw: st.DrawFn) -> ProposedCall:
    function = Function.parse(draw(st.sampled_from(sorted(MEANINGS))))
    values = [draw(_values[kind]) for kind in function.inputs]
    return proposed_call(Call(to=draw(_addresses), data=function.encode(*values)), function)


def a_proposal(**changes: object) -> Proposal:
    call = proposed_call(Call(CONTRACT, TRANSCODER.encode(100_000, 950_000)), TRANSCODER)
    facts = {"chain_id": 1337, "signer": SIGNER, "topic": "cuts", "title": "set the cuts", "reason": "declared"}
    return propose(**(facts | {"calls": [call], "made_at": 1.0} | changes))  # type: ignore[arg-type]


@given(st.lists(_calls(), min_size=1, max_size=4), st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_round_trip__any_known_calls__comes_back_equal(calls, reason):
    proposal = a_proposal(calls=calls, reason=reason)

    assert Proposal.from_json(proposal.to_json()) == proposal


@given(st.lists(st.lists(st.binary(max_size=8), max_size=3), max_size=3))
def test_argument_text__bytes_in_lists_of_lists__come_back_equal(value):
    assert from_text("bytes[][]", to_text("bytes[][]", value)) == value


def test_id__made_at_another_time__is_the_same():
    assert a_proposal(made_at=1.0).id == a_proposal(made_at=99.0).id


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", "nothing to see"), ("reason", "x"), ("chain_id", 42161), ("signer", CONTRACT), ("topic", "other")],
)
def test_from_json__a_field_changed__is_refused(field, value):
    body = json.loads(a_proposal().to_json())
    body[field] = value

    with pytest.raises(BadInput, match="it was changed after it was made"):
        Proposal.from_json(json.dumps(body))


def test_from_json__every_single_change_of_a_call__is_refused():
    body = json.loads(a_proposal().to_json())
    other = "0x" + "11" * 20
    for change in (
        {"to": other},
        {"value": "1"},
        {"arguments": ["100000", "950001"]},
        {"data": body["calls"][0]["data"][:-1] + "1"},
    ):
        changed = body | {"calls": [body["calls"][0] | change]}
        with pytest.raises(BadInput):
            Proposal.from_json(json.dumps(changed))


def test_check__calldata_of_other_arguments_and_a_matching_id__is_refused():
    honest = a_proposal().calls[0]
    lying = replace(honest, data=TRANSCODER.encode(1_000_000, 0))

    with pytest.raises(BadInput, match="do not sign"):
        a_proposal(calls=[lying])


def test_check__a_name_that_no_contract_of_the_protocol_has__is_refused():
    odd = Function.parse("claimAirdrop(uint256,uint256)")
    call = ProposedCall(CONTRACT, odd.signature, ("1", "2"), odd.encode(1, 2))

    with pytest.raises(BadInput, match="none of the functions"):
        a_proposal(calls=[call])


def test_check__calls_nothing__is_refused():
    with pytest.raises(BadInput, match="calls nothing"):
        a_proposal(calls=[])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"version": 2}', "\xff", '{"version": 1, "id": "../../etc"}']
)
def test_from_json__no_proposal__is_refused_in_a_sentence(text):
    with pytest.raises(BadInput, match="this is no proposal"):
        Proposal.from_json(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("uint256", "-1x"),
        ("uint256", "1e18"),
        ("address", "0x12"),
        ("bool", "1"),
        ("bytes", "0xabc"),
        ("bytes[]", "{}"),
    ],
)
def test_from_text__text_of_another_type__is_refused(kind, text):
    with pytest.raises(BadInput):
        from_text(kind, text)


def test_meaning__cuts__are_named_from_the_calldata():
    meaning = a_proposal().calls[0].meaning()

    assert meaning.function == "transcoder"
    assert [(a.name, a.text) for a in meaning.arguments] == [("rewardCut", "100000"), ("feeShare", "950000")]


def test_meaning__plain_transfer__says_so():
    call = ProposedCall(SIGNER, "", (), b"", Wei(10**18))

    assert call.meaning().does == f"sends {10**18} wei to {SIGNER}"


def test_box__another_proposal_of_the_topic__replaces_the_first(tmp_path):
    box = ProposalBox(tmp_path)
    first, second, other = a_proposal(), a_proposal(reason="b"), a_proposal(topic="votes")
    box.stand("votes", [other])
    box.stand("cuts", [first])

    box.stand("cuts", [second])

    assert {p.id for p in box.open()} == {second.id, other.id}
    assert {path.stem for path in tmp_path.iterdir()} == {second.id, other.id}


def test_box__the_same_again__keeps_the_time_it_was_made(tmp_path):
    box = ProposalBox(tmp_path)
    box.stand("cuts", [a_proposal(made_at=1.0)])

    box.stand("cuts", [a_proposal(made_at=2.0)])

    assert [p.made_at for p in box.open()] == [1.0]


def test_box__opened_again__holds_what_stood_and_drops_what_was_tampered_with(tmp_path):
    box = ProposalBox(tmp_path)
    kept, changed = a_proposal(), a_proposal(topic="votes")
    box.stand("cuts", [kept])
    box.stand("votes", [changed])
    path = box.path(changed)
    path.write_text(path.read_text().replace("declared", "by order"))

    again = ProposalBox(tmp_path)

    assert again.open() == (kept,)
    assert not path.exists()


def test_box__topics_that_nobody_looks_after__are_withdrawn(tmp_path):
    box = ProposalBox(tmp_path)
    box.stand("cuts", [a_proposal()])

    box.only(["votes"])

    assert box.open() == ()
    assert list(tmp_path.iterdir()) == []
