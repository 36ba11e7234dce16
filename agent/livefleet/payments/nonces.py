"""Which tickets were seen: nonces by parameter set, until replaying them is pointless."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from livefleet.kernel import Address, BlockNumber
from livefleet.payments.errors import BadPayment
from livefleet.payments.records import Commitment

__all__ = ["KEEP_BLOCKS", "MAX_NONCES", "Nonces"]

MAX_NONCES = 600
"""Tickets that one parameter set can pay with."""

KEEP_BLOCKS = 300
"""L1 blocks for which nonces outlive their parameters, so that an endpoint which lags by an hour opens no replay."""


@dataclass(slots=True)
class _Seen:
    expiration_block: int
    nonces: set[int] = field(default_factory=set)


class Nonces:
    """Nonces of credited tickets. One event loop's property."""

    def __init__(self, stored: Mapping[bytes, Commitment]) -> None:
        self._seen = {key: _Seen(c.expiration_block, set(c.nonces)) for key, c in stored.items()}

    def check(self, recipient_rand_hash: bytes, sender: Address, nonce: int) -> None:
        """Raises BadPayment where the nonce was used, or where there are too many."""
        seen = self._seen.get(recipient_rand_hash)
        if seen is None:
            return
        if nonce in seen.nonces:
            raise _refusal("already seen", sender, nonce)
        if len(seen.nonces) >= MAX_NONCES:
            raise _refusal("too many values", sender, nonce)

    def reserve(self, recipient_rand_hash: bytes, expiration_block: int, sender: Address, nonce: int) -> None:
        """Mark a nonce as used. Raises BadPayment as `check`."""
        self.check(recipient_rand_hash, sender, nonce)
        self._seen.setdefault(recipient_rand_hash, _Seen(expiration_block)).nonces.add(nonce)

    def release(self, recipient_rand_hash: bytes, nonces: Iterable[int]) -> None:
        """Give nonces back whose credit did not become durable."""
        seen = self._seen.get(recipient_rand_hash)
        if seen is not None:
            seen.nonces.difference_update(nonces)

    def prune(self, l1_block: BlockNumber) -> int | None:
        """Forget parameter sets that expired long ago; the block before which, or None where there were none."""
        before = l1_block - KEEP_BLOCKS
        expired = [key for key, seen in self._seen.items() if seen.expiration_block < before]
        for key in expired:
            del self._seen[key]
        return before if expired else None


def _refusal(what: str, sender: Address, nonce: int) -> BadPayment:
    return BadPayment(
        f"invalid ticket senderNonce: {what} sender={sender} nonce={nonce}", kind="InvalidTicketSenderNonce"
    )
