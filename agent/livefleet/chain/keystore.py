"""Key files: go-ethereum's V3 keystores, made and opened; hex keys, opened only.

Source: Web3 Secret Storage Definition v3; go-ethereum `accounts/keystore`.
"""

import json
import logging
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livefleet.chain.account import LocalSigner
from livefleet.chain.signature import checksum_address
from livefleet.chain.stack import eth_account
from livefleet.kernel import Address, BadInput
from livefleet.kernel.durable_file import write_new

if TYPE_CHECKING:
    from eth_keyfile.keyfile import KDFType

__all__ = ["KeyFile", "load_key", "make_keystore", "read_key_file"]

log = logging.getLogger(__name__)

_KEY_BYTES = 32
_SCRYPT_ROUNDS = 262_144  # go-ethereum's standard N; r 8, p 1
_MIN_PASSPHRASE = 8


class KeyFile:
    """What a key file says without its passphrase: where it is, who can read it, whose key it calls itself."""

    def __init__(self, path: Path, text: str, mode: int) -> None:
        self.path = path
        self.mode = mode
        self.is_keystore = text.startswith("{")
        self._text = text

    def __repr__(self) -> str:
        return f"KeyFile({self.path})"

    @property
    def is_open_to_others(self) -> bool:
        """Whether anybody but its owner may read or write it."""
        return bool(self.mode & 0o077)

    @property
    def address(self) -> Address | None:
        """The address that a keystore writes beside its key, unproven until it is opened; None where it says none.

        Raises BadInput where it is no V3 keystore.
        """
        if not self.is_keystore:
            return None
        said = self._keystore().get("address")
        if not isinstance(said, str):
            return None
        try:
            raw = bytes.fromhex(said.removeprefix("0x"))
        except ValueError:
            raw = b""
        if len(raw) != 20:
            raise BadInput(f"{self.path}: its `address` is no address: {said[:50]!r}")
        return checksum_address(raw)

    def open(self, passphrase: str | None = None) -> LocalSigner:
        """The key. Raises BadInput with the path and what to do; never with the content."""
        return self._decrypted(passphrase) if self.is_keystore else self._plain()

    def _decrypted(self, passphrase: str | None) -> LocalSigner:
        if passphrase is None:
            raise BadInput(f"{self.path}: this keystore needs a passphrase; give `password` beside `file`")
        try:
            signer = LocalSigner(bytes(eth_account.Account.decrypt(self._keystore(), passphrase)))
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{self.path}: is no V3 keystore: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise BadInput(f"{self.path}: the passphrase does not open this keystore ({error})") from error
        said = self.address
        if said is not None and said != signer.address:
            raise BadInput(f"{self.path}: says that it holds the key of {said}, and holds that of {signer.address}")
        return signer

    def _keystore(self) -> dict[str, Any]:
        try:
            keystore = json.loads(self._text)
        except ValueError as error:
            raise BadInput(f"{self.path}: is no V3 keystore: it is not whole JSON") from error
        if not isinstance(keystore, dict) or keystore.get("version") != 3:
            raise BadInput(f"{self.path}: is no V3 keystore: it has no `version` 3")
        return keystore

    def _plain(self) -> LocalSigner:
        try:
            secret = bytes.fromhex(self._text.removeprefix("0x"))
            if len(secret) != _KEY_BYTES:  # coincurve would pad a shorter one
                raise BadInput(f"{self.path}: holds {len(secret)} bytes in hex, a key has {_KEY_BYTES}")
            return LocalSigner(secret)
        except ValueError:
            # The cause would tell of the content.
            raise BadInput(f"{self.path}: neither a V3 keystore nor 64 hex digits") from None


def read_key_file(path: Path) -> KeyFile:
    """Read a key file without opening it. Raises BadInput where it is absent: a key is never made in passing."""
    try:
        text = path.read_text().strip()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise BadInput(f"{path}: cannot read the key file: {error.strerror}") from error
    except UnicodeDecodeError:
        raise BadInput(f"{path}: neither a V3 keystore nor 64 hex digits") from None
    return KeyFile(path, text, mode)


def load_key(path: Path, passphrase: str | None = None) -> LocalSigner:
    """Read a key file: go-ethereum V3 keystore JSON (with its passphrase) or 64 hex digits.

    Raises BadInput with the path and what to do; never with the content. Warns where others can read the file.
    """
    file = read_key_file(path)
    if file.is_open_to_others:
        extra = {"path": str(path), "mode": f"{file.mode:04o}", "do": f"chmod 600 {path}"}
        log.warning("key.open_to_others", extra=extra)
    return file.open(passphrase)


def make_keystore(path: Path, passphrase: str, *, kdf: "KDFType" = "scrypt", rounds: int | None = None) -> Address:
    """Make a key and write it as a V3 keystore, mode 0600, on the disk when this returns.

    Args:
        path: A file that is not there yet; its folder is made where needed, for this user alone.
        passphrase: What opens it.
        kdf: `scrypt` or `pbkdf2`.
        rounds: Work of the key derivation. None: go-ethereum's standard (scrypt with N 262144), or the library's own.

    Raises:
        BadInput: the file exists (nothing is ever overwritten), the folder cannot be written, the passphrase is short.
    """
    if len(passphrase) < _MIN_PASSPHRASE:
        raise BadInput(f"a passphrase of {len(passphrase)} characters is too short: give {_MIN_PASSPHRASE} or more")
    secret = secrets.token_bytes(_KEY_BYTES)
    signer = LocalSigner(secret)
    iterations = rounds if rounds is not None or kdf != "scrypt" else _SCRYPT_ROUNDS
    keystore = eth_account.Account.encrypt(secret, passphrase, kdf=kdf, iterations=iterations)
    keystore["address"] = signer.address[2:].lower()  # as go-ethereum writes it
    _write_new(path, json.dumps(keystore).encode())
    return signer.address


def _write_new(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_new(path, content)
    except FileExistsError as error:
        raise BadInput(f"{path}: is there already; a key is never overwritten, choose another file") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot write the keystore: {error.strerror}") from error
