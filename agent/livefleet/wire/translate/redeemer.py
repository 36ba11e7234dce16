"""What orchestrators and a shared redeemer say to each other."""

from livefleet.chain import checksum_address
from livefleet.kernel import Address, from_min_bytes, to_min_bytes
from livefleet.payments import Ticket, TicketExpiration, WinningTicket
from livefleet.payments.ticket import aux_data
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import redeemer_pb2 as rpb
from livefleet.wire.translate.payments import expiration_from_proto, ticket_params_from_proto

__all__ = [
    "float_from_proto",
    "float_request_from_proto",
    "float_request_to_proto",
    "float_to_proto",
    "winner_from_proto",
    "winner_to_proto",
]


def winner_to_proto(winner: WinningTicket) -> rpb.Ticket:
    """A ticket for QueueTicket: no seed, and the expiration stands beside the parameters."""
    ticket = winner.ticket
    return rpb.Ticket(
        ticket_params=pb.TicketParams(
            recipient=_raw(ticket.recipient),
            face_value=to_min_bytes(ticket.face_value),
            win_prob=to_min_bytes(ticket.win_prob),
            recipient_rand_hash=ticket.recipient_rand_hash,
            expiration_block=to_min_bytes(winner.expiration_block),
        ),
        sender=_raw(ticket.sender),
        expiration_params=pb.TicketExpirationParams(
            creation_round=ticket.creation_round, creation_round_block_hash=ticket.aux_data[32:]
        ),
        sender_params=pb.TicketSenderParams(sender_nonce=ticket.sender_nonce, sig=winner.signature),
        recipient_rand=to_min_bytes(winner.recipient_rand),
    )


def winner_from_proto(message: rpb.Ticket) -> WinningTicket:
    """As received, nothing checked. Raises ValueError for numbers that no ticket can hold."""
    params = ticket_params_from_proto(message.ticket_params)
    expiration: TicketExpiration = expiration_from_proto(message.expiration_params)
    if len(message.recipient_rand) > 32:
        raise ValueError("recipient_rand has more than 32 bytes")
    return WinningTicket(
        ticket=Ticket(
            recipient=params.recipient,
            sender=checksum_address(message.sender),
            face_value=params.face_value,
            win_prob=params.win_prob,
            sender_nonce=message.sender_params.sender_nonce,
            recipient_rand_hash=params.recipient_rand_hash,
            aux_data=aux_data(expiration),
        ),
        signature=message.sender_params.sig,
        recipient_rand=from_min_bytes(message.recipient_rand),
        expiration_block=params.expiration_block,
    )


def float_request_to_proto(sender: Address) -> rpb.MaxFloatReq:
    """For MaxFloat and MonitorMaxFloat."""
    return rpb.MaxFloatReq(sender=_raw(sender))


def float_request_from_proto(message: rpb.MaxFloatReq) -> Address:
    """Whose float is wanted."""
    return checksum_address(message.sender)


def float_to_proto(value: int) -> rpb.MaxFloatUpdate:
    """Wei; the message knows no sign."""
    return rpb.MaxFloatUpdate(max_float=to_min_bytes(max(0, value)))


def float_from_proto(message: rpb.MaxFloatUpdate) -> int:
    """Wei."""
    return from_min_bytes(message.max_float)


def _raw(address: Address) -> bytes:
    return bytes.fromhex(address[2:])
