import importlib
import pkgutil

import pytest

from livefleet.chain import NodeError, contracts, keccak256
from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts import contract_id
from livefleet.chain.contracts.ticket_broker import REDEEM_WINNING_TICKET
from tests.builders.chain import VECTORS, vector_ticket

pytestmark = pytest.mark.unit

UNKNOWN_EVENTS = {  # no known answers: read from OpenZeppelin's governor and from polls on the local chain instead
    "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)",
    "VoteCast(address,uint256,uint8,uint256,string)",
    "PollCreated(address,bytes,uint256,uint256,uint256)",
    "Vote(address,uint256)",
}


def _declared(kind: type) -> dict[str, object]:
    found = {}
    for module in pkgutil.iter_modules(contracts.__path__):
        values = vars(importlib.import_module(f"{contracts.__name__}.{module.name}")).values()
        found |= {value.signature: value for value in values if isinstance(value, kind)}
    return found


def test_functions__declared_by_hand__have_the_known_selectors():
    known = VECTORS["selectors"]
    ours = _declared(Function)
    shared = known.keys() & ours.keys()
    assert {
        "redeemWinningTicket((address,address,uint256,uint256,uint256,bytes32,bytes),bytes,uint256)",
        "batchRedeemWinningTickets((address,address,uint256,uint256,uint256,bytes32,bytes)[],bytes[],uint256[])",
        "rewardWithHint(address,address)",
        "rewardForTranscoderWithHint(address,address,address)",
        "initializeRound()",
        "transcoder(uint256,uint256)",
        "setServiceURI(string)",
    } <= shared
    assert {name: "0x" + ours[name].selector.hex() for name in shared} == {name: known[name] for name in shared}


def test_events__declared_by_hand__have_the_known_topics():
    known = {name.partition(".")[2]: topic for name, topic in VECTORS["eventTopics"].items()}
    ours = {name: event for name, event in _declared(Event).items() if name not in UNKNOWN_EVENTS}
    assert ours
    assert {name: "0x" + event.topic.hex() for name, event in ours.items()} == {name: known[name] for name in ours}


def test_contract_ids__are_the_hashes_of_names():
    ids = VECTORS["contractIds"]
    assert {name: "0x" + contract_id(name).hex() for name in ids} == ids


@pytest.mark.parametrize("vector", VECTORS["tickets"], ids=lambda vector: str(vector["senderNonce"]))
def test_redeem__known_ticket__gives_the_known_calldata_and_hash(vector):
    ticket = vector_ticket(vector)
    fields = (
        *(ticket.recipient, ticket.sender, ticket.face_value, ticket.win_prob),
        *(ticket.sender_nonce, ticket.recipient_rand_hash, ticket.aux_data),
    )
    data = REDEEM_WINNING_TICKET.encode(fields, ticket.signature, ticket.recipient_rand)
    assert "0x" + data.hex() == vector["redeemCalldata"]
    assert "0x" + ticket.hash.hex() == vector["ticketHash"]


def test_function__nested_tuples_and_arrays__are_read():
    function = Function.parse("f((address a, (uint256, bytes[]) b)[] list, bool c) returns ((uint8 x) y, string)")
    assert function.signature == "f((address,(uint256,bytes[]))[],bool)"
    assert function.outputs == ("(uint8)", "string")
    assert function.selector == keccak256(function.signature.encode())[:4]


@pytest.mark.parametrize("text", ["f", "f(uint256", "(uint256)", "f() gives (uint256)", "f(uint256) returns (uint256"])
def test_function__malformed__is_refused(text):
    with pytest.raises(ValueError, match=r"no name|bracket|cannot read"):
        Function.parse(text)


def test_decode__no_contract_at_the_address__is_a_node_error():
    with pytest.raises(NodeError, match="answer of 0 bytes"):
        Function.parse("currentRound() returns (uint256)").decode(b"")
