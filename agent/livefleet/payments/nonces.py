"""Which tickets were seen: nonces by parameter set, until replaying them is pointless."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from livefleet.kernel import Address, BlockNumber
from livefleet.payments.errors import BadPayment
from livefleet.payments.records import Commitment

__all__ = ["KEEP_BLOCKS", "MAX_NONCES", "MAX_SETS", "Nonces"]

MAX_NONCES = 600
"""Tickets that one parameter set can pay with."""

KEEP_BLOCKS = 20
"""L1 blocks for which nonces outlive their parameters, so that what is told of late tickets stays true meanwhile."""

MAX_SETS = 100_000
"""Parameter sets of one sender that are remembered at a time. A stream of 2 s segments uses 360 before its oldest is
forgotten; a sender needs a reserve on chain, so it cannot multiply. All of them take some 35 MB."""


@dataclass(slots=True)
class _Seen:
    sender: Address
    nonces: set[int] | int | None  # a set from the second on: most parameter sets pay once


class Nonces:
    """Nonces of credited tickets. One event loop's property.

    `floor` is the block before which parameters that expired are forgotten. They count as expired for good, whatever
    the chain's head says, so that forgetting them opens no replay.
    """

    def __init__(self, stored: Mapping[bytes, Commitment], *, floor: int = 0) -> None:
        self.floor = floor
        self._seen: dict[bytes, _Seen] = {}
        self._expiring: defaultdict[int, list[bytes]] = defaultdict(list)
        self._sets: Counter[Address] = Counter()
        for key, commitment in stored.items():
            self._begin(key, commitment.expiration_block, commitment.sender).nonces = set(commitment.nonces)

    def __len__(self) -> int:
        """Parameter sets that are remembered."""
        return len(self._seen)

    def check(self, recipient_rand_hash: bytes, sender: Address, nonce: int) -> None:
        """Raises BadPayment where the nonce was used, or where there are too many."""
        seen = self._seen.get(recipient_rand_hash)
        if seen is None:
            if self._sets[sender] >= MAX_SETS:
                raise _refusal("too many values", sender, nonce)
            return
        nonces = seen.nonces
        if nonce in nonces if isinstance(nonces, set) else nonce == nonces:
            raise _refusal("already seen", sender, nonce)
        if isinstance(nonces, set) and len(nonces) >= MAX_NONCES:
            raise _refusal("too many values", sender, nonce)

    def reserve(self, recipient_rand_hash: bytes, expiration_block: int, sender: Address, nonce: int) -> None:
        """Mark a nonce as used. Raises BadPayment as `check`."""
        self.check(recipient_rand_hash, sender, nonce)
        seen = self._seen.get(recipient_rand_hash) or self._begin(recipient_rand_hash, expiration_block, sender)
        if isinstance(seen.nonces, set):
            seen.nonces.add(nonce)
        elif seen.nonces is None:
            seen.nonces = nonce
        else:
            seen.nonces = {seen.nonces, nonce}

    def release(self, recipient_rand_hash: bytes, nonces: Iterable[int]) -> None:
        """Give nonces back whose credit did not become durable."""
        seen = self._seen.get(recipient_rand_hash)
        if seen is None:
            return
        if isinstance(seen.nonces, set):
            seen.nonces.difference_update(nonces)
        elif seen.nonces is not None and seen.nonces in nonces:
            seen.nonces = None

    def prune(self, l1_block: BlockNumber) -> int | None:
        """Forget parameter sets that expired long ago; the new floor, or None where there were none."""
        expired = [block for block in self._expiring if block < l1_block - KEEP_BLOCKS]
        if not expired:
            return None
        self._forget(expired)
        # Of the sets, not of the head: an endpoint that once told of a block far ahead must not refuse all payments.
        self.floor = max(self.floor, *(block + 1 for block in expired))
        return self.floor

    def close(self, block: int) -> None:
        """Parameter sets that expire before `block` are expired from now on, for good."""
        self.floor = max(self.floor, block)
        self._forget([expiring for expiring in self._expiring if expiring < self.floor])

    def _forget(self, expired: Iterable[int]) -> None:
        for block in expired:
            for key in self._expiring.pop(block):
                sender = self._seen.pop(key).sender
                self._sets[sender] -= 1
                if not self._sets[sender]:
                    del self._sets[sender]

    def _begin(self, recipient_rand_hash: bytes, expiration_block: int, sender: Address) -> _Seen:
        seen = self._seen[recipient_rand_hash] = _Seen(sender, None)
        self._expiring[expiration_block].append(recipient_rand_hash)
        self._sets[sender] += 1
        return seen


def _refusal(what: str, sender: Address, nonce: int) -> BadPayment:
    return BadPayment(
        f"invalid ticket senderNonce: {what} sender={sender} nonce={nonce}", kind="InvalidTicketSenderNonce"
    )
