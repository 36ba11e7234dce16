"""Who signs: one protocol, so that a key can live elsewhere than on the host that uses it."""

import json
from pathlib import Path
from typing import Any, Protocol

from coincurve import PrivateKey
from eth_account import Account
from eth_account.signers.local import LocalAccount

from livefleet.chain.signature import checksum_address, keccak256, sign_hash
from livefleet.kernel import Address, BadInput

__all__ = ["LocalSigner", "Signer", "load_key"]


class Signer(Protocol):
    """Signs for one address."""

    @property
    def address(self) -> Address:
        """The address that signatures recover to."""
        ...

    def sign_message(self, message: bytes) -> bytes:
        """65-byte EIP-191 signature over a 32-byte message."""
        ...

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The raw signed bytes of an EIP-1559 transaction given as web3's fields."""
        ...


class LocalSigner:
    """A key in this process's memory. Prints masked."""

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self._account: LocalAccount = Account.from_key(secret)
        self.address: Address = checksum_address(keccak256(self._key.public_key.format(compressed=False)[1:])[12:])

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    def sign_message(self, message: bytes) -> bytes:
        """65-byte EIP-191 signature over a 32-byte message."""
        return sign_hash(self._key, message)

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The raw signed bytes of a transaction."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)


def load_key(path: Path, passphrase: str | None = None) -> LocalSigner:
    """Read a key file: go-ethereum V3 keystore JSON (with its passphrase) or 64 hex digits.

    Raises BadInput with the path and what to do; never with the content.
    """
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise BadInput(f"{path}: cannot read the key file: {error.strerror}") from error
    if text.startswith("{"):
        if passphrase is None:
            raise BadInput(f"{path}: this keystore needs a passphrase; give `password` beside `file`")
        try:
            return LocalSigner(bytes(Account.decrypt(json.loads(text), passphrase)))
        except ValueError as error:
            raise BadInput(f"{path}: the passphrase does not open this keystore ({error})") from error
    try:
        return LocalSigner(bytes.fromhex(text.removeprefix("0x")))
    except ValueError as error:
        raise BadInput(f"{path}: neither a V3 keystore nor 64 hex digits") from error
