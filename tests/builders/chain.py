"""A local chain for a test, and tickets for it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livefleet.chain import Call, ChainClient, MessageSigner, TicketBroker, keccak256
from livefleet.chain.abi import to_raw
from livefleet.chain.contracts.ticket_broker import SignedTicket
from livefleet.kernel import MAX_WIN_PROB, Address, Round, Wei, WinProb, to_u256
from tests.devchain.chain import Devchain, ProtocolVersion

__all__ = ["VECTORS", "Ticket", "a_devchain", "a_ticket", "vector_ticket"]

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "chain-vectors.json").read_text())
"""Known answers of the protocol's own contracts."""


@asynccontextmanager
async def a_devchain(
    folder: Path,
    *,
    round_length: int = 50,
    pool_max_size: int = 100,
    protocol: ProtocolVersion = ProtocolVersion.LIVE,
) -> AsyncIterator[Devchain]:
    """A fresh chain in `folder`, ended afterwards."""
    try:
        async with await Devchain.up(
            folder, round_length=round_length, pool_max_size=pool_max_size, protocol=protocol
        ) as chain:
            yield chain
    finally:
        await Devchain.down(folder)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket and what redeems it."""

    recipient: Address
    sender: Address
    face_value: Wei
    win_prob: WinProb
    sender_nonce: int
    recipient_rand: int
    recipient_rand_hash: bytes
    aux_data: bytes
    signature: bytes = b""

    @property
    def hash(self) -> bytes:
        """What the sender signs."""
        return keccak256(
            to_raw(self.recipient),
            to_raw(self.sender),
            to_u256(self.face_value),
            to_u256(self.win_prob),
            to_u256(self.sender_nonce),
            self.recipient_rand_hash,
            self.aux_data,
        )

    def signed(self, signer: MessageSigner) -> "Ticket":
        """The same ticket with that signer's signature."""
        return replace(self, signature=signer.sign_message(self.hash))

    def redeem_call(self, broker: TicketBroker) -> Call:
        """The call that redeems it."""
        return broker.redeem_call(self.signed_ticket)

    @property
    def signed_ticket(self) -> SignedTicket:
        """The same, as the contract names it."""
        return SignedTicket(
            recipient=self.recipient,
            sender=self.sender,
            face_value=self.face_value,
            win_prob=self.win_prob,
            sender_nonce=self.sender_nonce,
            recipient_rand_hash=self.recipient_rand_hash,
            aux_data=self.aux_data,
            signature=self.signature,
            recipient_rand=self.recipient_rand,
        )


async def a_ticket(
    client: ChainClient,
    signer: MessageSigner,
    recipient: Address,
    *,
    face_value: Wei = Wei(10**16),
    win_prob: WinProb = MAX_WIN_PROB,
    sender_nonce: int = 1,
    recipient_rand: int = 7,
) -> Ticket:
    """A ticket of the current round, signed."""
    round_ = await client.rounds.last_initialized_round()
    return Ticket(
        recipient=recipient,
        sender=signer.address,
        face_value=face_value,
        win_prob=win_prob,
        sender_nonce=sender_nonce,
        recipient_rand=recipient_rand,
        recipient_rand_hash=keccak256(to_u256(recipient_rand)),
        aux_data=to_u256(round_) + await client.rounds.block_hash_for_round(Round(round_)),
    ).signed(signer)


def vector_ticket(vector: dict[str, Any]) -> Ticket:
    """One of the known tickets."""
    return Ticket(
        recipient=Address(vector["recipient"]),
        sender=Address(vector["sender"]),
        face_value=Wei(int(vector["faceValue"])),
        win_prob=WinProb(int(vector["winProb"], 16)),
        sender_nonce=vector["senderNonce"],
        recipient_rand=int(vector["recipientRand"], 16),
        recipient_rand_hash=bytes.fromhex(vector["recipientRandHash"][2:]),
        aux_data=bytes.fromhex(vector["auxData"][2:]),
        signature=bytes.fromhex(vector["sig"][2:]),
    )
