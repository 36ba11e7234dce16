"""Who signs: one protocol, so that a key can live elsewhere than on the host that uses it."""

from typing import Any, Protocol

from livefleet.chain.signature import checksum_address, keccak256, sign_hash
from livefleet.chain.stack import coincurve, eth_account
from livefleet.kernel import Address

__all__ = ["LocalSigner", "MessageSigner", "Signer"]


class Signer(Protocol):
    """Signs for one address; the key may be on another machine."""

    @property
    def address(self) -> Address:
        """The address that signatures recover to."""
        ...

    async def sign(self, message: bytes) -> bytes:
        """65-byte EIP-191 signature over a 32-byte message. Raises Transient, Terminal where the key is elsewhere."""
        ...

    async def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The raw signed bytes of an EIP-1559 transaction given as web3's fields. Raises as `sign` does."""
        ...


class MessageSigner(Protocol):
    """Signs for one address at once: the key is at hand, as a paying gateway needs it for each ticket."""

    @property
    def address(self) -> Address:
        """The address that signatures recover to."""
        ...

    def sign_message(self, message: bytes) -> bytes:
        """65-byte EIP-191 signature over a 32-byte message."""
        ...


class LocalSigner:
    """A key in this process's memory. Prints masked."""

    def __init__(self, secret: bytes) -> None:
        self._key = coincurve.PrivateKey(secret)
        self._account = eth_account.Account.from_key(secret)
        self.address: Address = checksum_address(keccak256(self._key.public_key.format(compressed=False)[1:])[12:])

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    def sign_message(self, message: bytes) -> bytes:
        """65-byte EIP-191 signature over a 32-byte message."""
        return sign_hash(self._key, message)

    async def sign(self, message: bytes) -> bytes:
        """As `sign_message`."""
        return self.sign_message(message)

    async def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The raw signed bytes of a transaction."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)
