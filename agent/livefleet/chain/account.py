"""Who signs: one protocol, so that a key can live elsewhere than on the host that uses it."""

import json
import logging
from pathlib import Path
from typing import Any, Protocol

from coincurve import PrivateKey
from eth_account import Account
from eth_account.signers.local import LocalAccount

from livefleet.chain.signature import checksum_address, keccak256, sign_hash
from livefleet.kernel import Address, BadInput

__all__ = ["LocalSigner", "MessageSigner", "Signer", "load_key"]

log = logging.getLogger(__name__)

_KEY_BYTES = 32


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
        self._key = PrivateKey(secret)
        self._account: LocalAccount = Account.from_key(secret)
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


def load_key(path: Path, passphrase: str | None = None) -> LocalSigner:
    """Read a key file: go-ethereum V3 keystore JSON (with its passphrase) or 64 hex digits.

    Raises BadInput with the path and what to do; never with the content. Warns where others can read the file.
    """
    try:
        text = path.read_text().strip()
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise BadInput(f"{path}: cannot read the key file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: neither a V3 keystore nor 64 hex digits") from error
    if mode & 0o077:
        log.warning("key.open_to_others", extra={"path": str(path), "mode": f"{mode:04o}", "do": f"chmod 600 {path}"})
    if text.startswith("{"):
        if passphrase is None:
            raise BadInput(f"{path}: this keystore needs a passphrase; give `password` beside `file`")
        try:
            return LocalSigner(bytes(Account.decrypt(json.loads(text), passphrase)))
        except (KeyError, TypeError) as error:
            raise BadInput(f"{path}: is no V3 keystore: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise BadInput(f"{path}: the passphrase does not open this keystore ({error})") from error
    try:
        secret = bytes.fromhex(text.removeprefix("0x"))
        if len(secret) != _KEY_BYTES:  # coincurve would pad a shorter one
            raise BadInput(f"{path}: holds {len(secret)} bytes in hex, a key has {_KEY_BYTES}")
        return LocalSigner(secret)
    except ValueError as error:
        raise BadInput(f"{path}: neither a V3 keystore nor 64 hex digits") from error
