import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.wire.proto import redeemer_pb2 as pb
from livefleet.wire.translate.redeemer import float_from_proto, float_to_proto, winner_from_proto, winner_to_proto
from tests.builders.payments import VECTORS, a_winner

pytestmark = pytest.mark.unit

VECTOR = VECTORS["redeemer"]


def test_winner__of_the_vector__is_what_was_signed():
    winner = winner_from_proto(pb.Ticket.FromString(bytes.fromhex(VECTOR["ticket_protobuf"][2:])))
    assert winner.ticket.hash.hex() == VECTOR["ticket_hash"][2:]
    assert winner.recipient_rand == int(VECTOR["recipient_rand"])
    assert winner.ticket.is_signed(winner.signature)
    assert winner_to_proto(winner).SerializeToString(deterministic=True).hex() == VECTOR["ticket_protobuf"][2:]


def test_winner__there_and_back():
    winner = a_winner(sender_nonce=600, recipient_rand=2**255)
    assert winner_from_proto(winner_to_proto(winner)) == winner


def test_winner__of_no_round__has_no_aux_data():
    winner = a_winner(aux_data=b"")
    assert winner_from_proto(winner_to_proto(winner)).ticket.aux_data == b""


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_float__there_and_back(value):
    assert float_from_proto(float_to_proto(value)) == value


def test_float__below_zero__is_told_as_zero():
    assert float_from_proto(float_to_proto(-5)) == 0


@given(st.binary(max_size=200))
def test_winner__any_message__is_read_or_refused_by_value_error(raw):
    message = pb.Ticket(recipient_rand=raw, sender=raw)
    message.ticket_params.face_value = raw
    with contextlib.suppress(ValueError):
        assert winner_from_proto(message).ticket.recipient.startswith("0x")
