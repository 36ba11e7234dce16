"""Golden vectors of the reference protocol and of the chain."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import keccak256
from livefleet.kernel import Round, WinProb, from_min_bytes, to_min_bytes
from livefleet.payments import Ticket, TicketExpiration
from livefleet.payments.receipt import checked_price
from livefleet.payments.recipient import commitment, recipient_rand, recipient_rand_message, win_prob
from livefleet.payments.ticket import aux_data, expected_value
from tests.builders.payments import CHAIN_VECTORS, VECTORS, no_tickets

pytestmark = pytest.mark.unit


def raw(text):
    return bytes.fromhex(text.removeprefix("0x"))


def ticket_of(vector):
    return Ticket(
        recipient=vector["recipient"],
        sender=vector["sender"],
        face_value=int(vector["face_value"]),
        win_prob=int(vector["win_prob"]),
        sender_nonce=vector["sender_nonce"],
        recipient_rand_hash=raw(vector["recipient_rand_hash"]),
        aux_data=aux_data(TicketExpiration(Round(vector["creation_round"]), raw(vector["creation_round_block_hash"]))),
    )


@pytest.mark.parametrize("vector", VECTORS["tickets"] + VECTORS["onchain_tickets"], ids=lambda v: v["ticket_hash"][:10])
def test_ticket__vector__hash_signature_and_win_agree(vector):
    ticket, signature, rand = ticket_of(vector), raw(vector["sig"]), int(vector["recipient_rand"])

    assert ticket.aux_data == raw(vector["aux_data"])
    assert ticket.hash == raw(vector["ticket_hash"])
    assert ticket.creation_round == vector["creation_round"]
    assert ticket.is_signed(signature)
    assert commitment(rand) == ticket.recipient_rand_hash
    assert ticket.is_winning(signature, rand) is vector["wins"]
    if "ev_num" in vector:
        assert ticket.expected_value == Fraction(int(vector["ev_num"]), int(vector["ev_den"]))


@pytest.mark.parametrize("vector", CHAIN_VECTORS["tickets"], ids=lambda v: str(v["senderNonce"]))
def test_ticket__chain_vector__agrees_with_the_contract(vector):
    ticket = Ticket(
        recipient=vector["recipient"],
        sender=vector["sender"],
        face_value=int(vector["faceValue"]),
        win_prob=WinProb(int(vector["winProb"], 16)),
        sender_nonce=vector["senderNonce"],
        recipient_rand_hash=raw(vector["recipientRandHash"]),
        aux_data=raw(vector["auxData"]),
    )
    rand = int(vector["recipientRand"], 16)

    assert ticket.hash == raw(vector["ticketHash"])
    assert ticket.is_signed(raw(vector["sig"]))
    assert commitment(rand) == ticket.recipient_rand_hash
    assert ticket.is_winning(raw(vector["sig"]), rand) is vector["wins"]


@pytest.mark.parametrize("vector", VECTORS["recipient_rand"], ids=lambda v: v["name"])
def test_recipient_rand__vector__agrees(vector):
    values = {
        "seed": int(vector["seed"]),
        "sender": vector["sender"],
        "value": int(vector["face_value"]),
        "odds": int(vector["win_prob"]),
        "expiration_block": vector["expiration_block"],
        "price": Fraction(int(vector["price_num"]), int(vector["price_denom"])),
        "aux": aux_data(
            TicketExpiration(Round(vector["creation_round"]), raw(vector["creation_round_block_hash"] or "00" * 32))
        ),
    }

    assert recipient_rand_message(**values) == raw(vector["hmac_message"])
    rand = recipient_rand(raw(vector["recipient_secret"]), **values)
    assert rand == int(vector["recipient_rand"])
    assert commitment(rand) == raw(vector["recipient_rand_hash"])


@pytest.mark.parametrize("vector", VECTORS["win_prob"], ids=lambda v: f"{v['ev']}/{v['face_value']}")
def test_win_prob__vector__agrees(vector):
    odds = win_prob(int(vector["face_value"]), int(vector["ev"]))

    assert odds == int(vector["win_prob"])
    assert to_min_bytes(odds) == raw(vector["win_prob_hex"])


@pytest.mark.parametrize("vector", [v for v in VECTORS["payments"] if "total_ev_num" in v], ids=lambda v: v["name"])
def test_payment__vector__is_worth_its_tickets(vector):
    worth = len(vector["nonces"]) * expected_value(int(vector["face_value"]), int(vector["win_prob"]))

    assert worth == Fraction(int(vector["total_ev_num"]), int(vector["total_ev_den"]))


@given(value=st.integers(1, 2**80), expected=st.integers(1, 2**60))
def test_win_prob__any_face_value_above__is_worth_at_least_what_was_asked(value, expected):
    if expected >= value:
        return
    worth = expected_value(value, win_prob(value, expected))
    assert expected <= worth < expected * (1 + Fraction(value, 2**255))


@given(st.integers(0, 2**256 - 1))
def test_min_bytes__any_number__comes_back_without_leading_zeros(number):
    assert from_min_bytes(to_min_bytes(number)) == number
    assert not to_min_bytes(number).startswith(b"\0")


@given(numerator=st.integers(0, 2**63 - 1), denominator=st.integers(1, 2**63 - 1), factor=st.integers(1, 1000))
def test_checked_price__unreduced__is_the_same_price(numerator, denominator, factor):
    plain = checked_price(no_tickets(price_per_unit=numerator, pixels_per_unit=denominator))
    scaled = checked_price(no_tickets(price_per_unit=numerator * factor, pixels_per_unit=denominator * factor))

    assert plain == scaled == Fraction(numerator, denominator)


def test_ticket__signature_with_v_0__is_not_signed():
    ticket, signature = ticket_of(VECTORS["tickets"][0]), raw(VECTORS["tickets"][0]["sig"])

    assert not ticket.is_signed(signature[:64] + bytes([signature[64] - 27]))
    assert not ticket.is_signed(signature[:64])
    assert not ticket.is_signed(b"")


def test_is_winning__hash_equals_win_prob__loses():
    ticket, signature = ticket_of(VECTORS["tickets"][0]), raw(VECTORS["tickets"][0]["sig"])
    value = int.from_bytes(keccak256(signature, (7).to_bytes(32, "big")), "big")

    assert not ticket_of(VECTORS["tickets"][0] | {"win_prob": str(value)}).is_winning(signature, 7)
    assert ticket_of(VECTORS["tickets"][0] | {"win_prob": str(value + 1)}).is_winning(signature, 7)
    assert not ticket_of(VECTORS["tickets"][0] | {"win_prob": "0"}).is_winning(signature, 7)
    assert ticket.creation_round == 3500
