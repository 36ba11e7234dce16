"""The probabilistic payment itself: its hash, its odds, its worth.

Source: PM protocol (go-livepeer pm/ticket.go), TicketBroker.getTicketHash.
"""

from dataclasses import dataclass
from fractions import Fraction

from livefleet.chain import keccak256, recover_address
from livefleet.kernel import MAX_WIN_PROB, Address, Round, Wei, WinProb, to_u256
from livefleet.payments.models import TicketExpiration, TicketParams

__all__ = ["Ticket", "TicketForm", "WinningTicket", "address_bytes", "aux_data", "expected_value", "is_winning"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a sender signs. Source: TicketBroker `Ticket`."""

    recipient: Address
    sender: Address
    face_value: Wei
    win_prob: WinProb
    sender_nonce: int  # from 1 for each recipient_rand_hash
    recipient_rand_hash: bytes  # 32 bytes
    aux_data: bytes  # 64 bytes: creation round and its block hash; empty where both are zero

    @property
    def hash(self) -> bytes:
        """Keccak-256 over the packed fields: what is signed, and what the contract remembers as used."""
        return keccak256(self.packed_head, to_u256(self.sender_nonce), self.packed_tail)

    @property
    def packed_head(self) -> bytes:
        """What is hashed before the nonce."""
        addresses = address_bytes(self.recipient) + address_bytes(self.sender)
        return addresses + to_u256(self.face_value) + to_u256(self.win_prob)

    @property
    def packed_tail(self) -> bytes:
        """What is hashed after it."""
        return self.recipient_rand_hash + self.aux_data

    @property
    def creation_round(self) -> Round:
        """The round in `aux_data`; 0 where there is none."""
        return Round(int.from_bytes(self.aux_data[:32], "big"))

    @property
    def expected_value(self) -> Fraction:
        """Face value times the chance to win, exactly, in wei."""
        return expected_value(self.face_value, self.win_prob)

    def is_signed(self, signature: bytes) -> bool:
        """Whether the sender made `signature` for this ticket."""
        return recover_address(self.hash, signature) == address_bytes(self.sender)

    def is_winning(self, signature: bytes, recipient_rand: int) -> bool:
        """Whether it pays its face value."""
        return is_winning(self.win_prob, signature, recipient_rand)


class TicketForm:
    """Tickets that differ in their nonce only, as those of one payment do: what they share is put together once."""

    def __init__(self, params: TicketParams, sender: Address, aux: bytes) -> None:
        self._params = params
        self._sender = sender
        self._aux = aux
        blank = self.ticket(0)
        self._head = blank.packed_head
        self._tail = blank.packed_tail

    def hash(self, nonce: int) -> bytes:
        """`ticket(nonce).hash`."""
        return keccak256(self._head + nonce.to_bytes(32, "big") + self._tail)

    def ticket(self, nonce: int) -> Ticket:
        """The whole ticket."""
        params = self._params
        return Ticket(
            recipient=params.recipient,
            sender=self._sender,
            face_value=params.face_value,
            win_prob=params.win_prob,
            sender_nonce=nonce,
            recipient_rand_hash=params.recipient_rand_hash,
            aux_data=self._aux,
        )


@dataclass(frozen=True, slots=True)
class WinningTicket:
    """A ticket that won, with all that redeeming it takes."""

    ticket: Ticket
    signature: bytes  # 65 bytes
    recipient_rand: int  # not to be shown to anybody before the parameters have expired
    expiration_block: int  # L1 block at which its parameters expire


def aux_data(expiration: TicketExpiration) -> bytes:
    """Creation round and block hash as the contract reads them; empty where both are zero."""
    if not expiration.creation_round and not any(expiration.creation_round_block_hash):
        return b""
    return to_u256(expiration.creation_round) + expiration.creation_round_block_hash


def expected_value(face_value: Wei, win_prob: WinProb) -> Fraction:
    """What one ticket is worth on average, in wei."""
    return Fraction(face_value * win_prob, MAX_WIN_PROB)


def is_winning(win_prob: WinProb, signature: bytes, recipient_rand: int) -> bool:
    """Strictly below: a win probability of zero never wins. The signature's last byte is part of what is hashed."""
    return int.from_bytes(keccak256(signature, to_u256(recipient_rand)), "big") < win_prob


def address_bytes(address: Address) -> bytes:
    """The 20 bytes of an address."""
    return bytes.fromhex(address[2:])
