"""Payments, ticket parameters, prices."""

import base64
from fractions import Fraction

from google.protobuf.message import DecodeError

from livefleet.chain import checksum_address
from livefleet.kernel import BlockNumber, Round, Wei, WinProb, from_min_bytes, to_min_bytes
from livefleet.payments import ReceivedPayment, SenderSignature, TicketExpiration, TicketParams
from livefleet.wire.errors import MalformedPayment
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = [
    "MAX_INT64",
    "expiration_from_proto",
    "fixed_hash",
    "payment_from_header",
    "payment_from_proto",
    "payment_to_header",
    "payment_to_proto",
    "price_from_proto",
    "price_to_proto",
    "ticket_params_from_proto",
    "ticket_params_to_proto",
]

MAX_INT64 = 2**63 - 1
"""The largest number of a protobuf int64."""


def payment_from_header(header: str) -> ReceivedPayment:
    """The header `Livepeer-Payment`. Raises MalformedPayment (402)."""
    try:
        raw = base64.b64decode(header, validate=True)
    except ValueError as error:  # also for characters that are not ASCII
        raise MalformedPayment(f"base64 decode error: {error}") from error
    try:
        return payment_from_proto(pb.Payment.FromString(raw))
    except (DecodeError, ValueError) as error:
        raise MalformedPayment(f"protobuf unmarshal error: {error}") from error


def payment_from_proto(message: pb.Payment) -> ReceivedPayment:
    """As received, not yet checked. Raises ValueError for numbers that no ticket can hold."""
    expiration = expiration_from_proto(message.expiration_params)
    return ReceivedPayment(
        sender=checksum_address(message.sender) if message.sender else None,
        ticket_params=ticket_params_from_proto(message.ticket_params) if message.HasField("ticket_params") else None,
        expiration=expiration,
        tickets=tuple(SenderSignature(t.sender_nonce, t.sig) for t in message.ticket_sender_params),
        price_per_unit=message.expected_price.pricePerUnit if message.HasField("expected_price") else None,
        pixels_per_unit=message.expected_price.pixelsPerUnit,
    )


def payment_to_header(payment: ReceivedPayment) -> str:
    """The header `Livepeer-Payment`; empty where there is nothing to say."""
    return base64.b64encode(payment_to_proto(payment).SerializeToString()).decode()


def payment_to_proto(payment: ReceivedPayment) -> pb.Payment:
    """A gateway's payment. The expiration stands outside of the ticket params, as gateways write it."""
    message = pb.Payment(
        sender=b"" if payment.sender is None else _address_bytes(payment.sender),
        ticket_sender_params=[pb.TicketSenderParams(sender_nonce=t.nonce, sig=t.signature) for t in payment.tickets],
    )
    if payment.ticket_params is not None:
        message.ticket_params.CopyFrom(ticket_params_to_proto(payment.ticket_params))
        message.ticket_params.ClearField("expiration_params")
        message.expiration_params.CopyFrom(_expiration_to_proto(payment.expiration))
    if payment.price_per_unit is not None:
        message.expected_price.pricePerUnit = payment.price_per_unit
        message.expected_price.pixelsPerUnit = payment.pixels_per_unit
    return message


def ticket_params_from_proto(message: pb.TicketParams) -> TicketParams:
    """Raises ValueError for a number of more than 32 bytes."""
    return TicketParams(
        recipient=checksum_address(message.recipient),
        face_value=Wei(_number(message.face_value, "face_value")),
        win_prob=WinProb(_number(message.win_prob, "win_prob")),
        recipient_rand_hash=fixed_hash(message.recipient_rand_hash),
        seed=_number(message.seed, "seed"),
        expiration_block=BlockNumber(_number(message.expiration_block, "expiration_block")),
        expiration=expiration_from_proto(message.expiration_params),
    )


def ticket_params_to_proto(params: TicketParams) -> pb.TicketParams:
    """For an OrchestratorInfo."""
    return pb.TicketParams(
        recipient=_address_bytes(params.recipient),
        face_value=to_min_bytes(params.face_value),
        win_prob=to_min_bytes(params.win_prob),
        recipient_rand_hash=params.recipient_rand_hash,
        seed=to_min_bytes(params.seed),
        expiration_block=to_min_bytes(params.expiration_block),
        expiration_params=_expiration_to_proto(params.expiration),
    )


def expiration_from_proto(message: pb.TicketExpirationParams) -> TicketExpiration:
    """Raises ValueError for a negative round."""
    if message.creation_round < 0:
        raise ValueError(f"creation_round {message.creation_round} is negative")
    return TicketExpiration(Round(message.creation_round), fixed_hash(message.creation_round_block_hash))


def _expiration_to_proto(expiration: TicketExpiration) -> pb.TicketExpirationParams:
    return pb.TicketExpirationParams(
        creation_round=expiration.creation_round, creation_round_block_hash=expiration.creation_round_block_hash
    )


def price_to_proto(price: Fraction) -> pb.PriceInfo:
    """Lowest terms, or floored to whole wei where they do not fit int64. Raises ValueError where that fails too."""
    if price.numerator <= MAX_INT64 and price.denominator <= MAX_INT64:
        return pb.PriceInfo(pricePerUnit=price.numerator, pixelsPerUnit=price.denominator)
    if int(price) > MAX_INT64:
        raise ValueError("price cannot be converted to int64")
    return pb.PriceInfo(pricePerUnit=int(price), pixelsPerUnit=1)


def price_from_proto(message: pb.PriceInfo) -> Fraction | None:
    """Wei per unit; None for what is no price."""
    if message.pixelsPerUnit <= 0 or message.pricePerUnit < 0:
        return None
    return Fraction(message.pricePerUnit, message.pixelsPerUnit)


def _number(raw: bytes, field: str) -> int:
    if len(raw) > 32:
        raise ValueError(f"{field} has more than 32 bytes")
    return from_min_bytes(raw)


def fixed_hash(raw: bytes) -> bytes:
    """32 bytes, whatever came: the last ones, padded in front."""
    return raw[-32:].rjust(32, b"\0")


def _address_bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))
