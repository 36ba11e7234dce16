"""Who a host is: an Ed25519 key of its own making that never leaves it."""

from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from livefleet.enrol.durable import Owner, write_durably
from livefleet.kernel import BadInput
from livefleet.spec.enrolment import host_name, key_fingerprint

__all__ = ["Identity", "ensure_identity", "load_identity"]


class Identity:
    """A host's key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)  # 32 bytes
        self.fingerprint = key_fingerprint(self.public_key)

    def sign(self, text: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(text)

    def name(self, prefix: str) -> str:
        """What the host calls itself: random as its key is, and nothing of its hardware."""
        return host_name(prefix, self.public_key)


def ensure_identity(path: Path, *, owner: Owner | None = None, write: Callable[..., None] = write_durably) -> Identity:
    """The host's key in `path` (0600), made when there is none; it is on disk before anybody hears of it.

    Raises BadInput for a file that is no such key, OutsideWorld where it cannot be written.
    """
    if path.exists():
        return load_identity(path)
    key = Ed25519PrivateKey.generate()
    write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), owner=owner)
    return Identity(key)


def load_identity(path: Path) -> Identity:
    """Raises BadInput where there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise BadInput(f"{path}: cannot read the host's key: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path}: is no private key; remove it and the host makes a new one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path}: is no Ed25519 key; remove it and the host makes a new one")
    return Identity(key)
