"""Against values made by an independent implementation of the protocol."""

import base64
import json
import random
from pathlib import Path

import pytest

from livefleet.chain import LocalSigner, keccak256, verify
from livefleet.kernel import SessionId
from livefleet.wire.auth import AuthToken, AuthTokens
from livefleet.wire.capabilities import Capabilities, from_words, to_words
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.segment import profile_id
from livefleet.wire.signing import ping_message, request_is_signed, request_message, result_message
from livefleet.wire.translate import (
    auth_token_from_proto,
    auth_token_to_proto,
    capabilities_from_proto,
    capabilities_to_proto,
    payment_from_header,
    payment_to_header,
    request_from_proto,
    segment_from_header,
    segment_to_header,
)
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

VECTORS = json.loads((Path(__file__).parents[2] / "data/wire-vectors.json").read_text())
GATEWAY = LocalSigner(bytes.fromhex(VECTORS["keys"]["gateway_private_key"][2:]))
ORCHESTRATOR = LocalSigner(bytes.fromhex(VECTORS["keys"]["orchestrator_private_key"][2:]))


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def by_name(group: str):
    return pytest.mark.parametrize("vector", VECTORS[group], ids=lambda v: v.get("name", v.get("session_id")))


def test_orchestrator_request():
    vector = VECTORS["orchestrator_request"]
    address = raw(vector["address"])
    assert request_message(address) == raw(vector["message_keccak"])
    assert GATEWAY.sign_message(request_message(address)) == raw(vector["sig"])
    request = request_from_proto(pb.OrchestratorRequest.FromString(raw(vector["request_protobuf"])))
    assert (request.address, request.signature) == (address, raw(vector["sig"]))
    assert request.capabilities is None
    assert request.ignore_capacity_check
    assert request_is_signed(request.address, request.signature)
    lower_case = GATEWAY.sign_message(keccak256(vector["address"].lower().encode()))
    assert not request_is_signed(address, lower_case)


@by_name("auth_tokens")
def test_auth_token(vector):
    clock = HandClock(vector["expiration"] - 1800)
    if clock.time >= 0:
        tokens = AuthTokens(raw(vector["secret"]), clock, random.Random(1))
        token = tokens.issue(SessionId(vector["session_id"]))
    else:  # an expiration so small that no clock could have issued it
        tokens = AuthTokens(raw(vector["secret"]), HandClock(0), random.Random(1))
        token = AuthToken(raw(vector["token"]), SessionId(vector["session_id"]), vector["expiration"])
    assert token == AuthToken(raw(vector["token"]), SessionId(vector["session_id"]), vector["expiration"])
    assert tokens.is_ours(token)
    message = auth_token_to_proto(token)
    assert message.SerializeToString(deterministic=True) == raw(vector["auth_token_protobuf"])
    assert auth_token_from_proto(message) == token


@by_name("payments")
def test_payment(vector):
    payment = payment_from_header(vector["header_Livepeer_Payment"])
    assert base64.b64decode(payment_to_header(payment)) == raw(vector["payment_protobuf"])
    if "nonces" not in vector:
        assert payment.ticket_params is None
        assert payment.tickets == ()
        return
    assert payment.sender == vector["sender"]
    assert [t.nonce for t in payment.tickets] == vector["nonces"]
    assert payment.expected_price is not None
    assert f"{payment.price_per_unit}/{payment.pixels_per_unit}" == vector["expected_price"]
    assert payment.expiration.creation_round == vector["creation_round"]
    params = payment.ticket_params
    assert params is not None
    assert params.recipient == vector["recipient"]
    assert (str(params.face_value), str(params.win_prob)) == (vector["face_value"], vector["win_prob"])
    assert params.expiration_block == vector["expiration_block"]


@by_name("segments")
def test_segment(vector):
    segment = segment_from_header(vector["header_Livepeer_Segment"])
    assert segment.manifest_id == vector["manifest_id"].encode()
    assert segment.sequence == vector["seq"]
    assert segment.source_hash == keccak256(vector["segment_data_utf8"].encode()) == raw(vector["segment_hash"])
    assert [p.name for p in segment.profiles] == vector["profile_names"]
    assert "".join(profile_id(p.name) for p in segment.profiles) == vector["profiles_hex"]
    assert segment.flatten() == raw(vector["flatten"])
    assert segment.message() == raw(vector["flatten_keccak"])
    assert segment.is_signed_by(raw(vector["signer"]))
    assert not segment.is_signed_by(raw(VECTORS["keys"]["orchestrator"]))
    again = segment_to_header(segment)
    assert segment_from_header(again) == segment
    field = vector["full_profiles_field"]
    if field is not None:
        assert len(getattr(pb.SegData.FromString(base64.b64decode(again)), field)) == len(segment.profiles)


def test_transcode_result():
    vector = VECTORS["transcode_result"]
    message = result_message(r.encode() for r in vector["renditions_utf8"])
    assert message == raw(vector["digest"])
    assert ORCHESTRATOR.sign_message(message) == raw(vector["sig"])


def test_ping():
    vector = VECTORS["ping"]
    signature = ORCHESTRATOR.sign_message(ping_message(raw(vector["value"])))
    assert signature == raw(vector["sig"])
    assert verify(raw(vector["signer"]), ping_message(raw(vector["value"])), signature)


@by_name("capabilities")
def test_capabilities(vector):
    words = tuple(int(word) for word in vector["bitstring"])
    assert to_words(vector["ids"]) == words
    assert from_words(words) == set(vector["ids"])
    message = pb.Capabilities.FromString(raw(vector["protobuf"]))
    received = capabilities_from_proto(message)
    assert received == Capabilities.of(vector["ids"], version=received.version)
    assert capabilities_to_proto(received) == message
