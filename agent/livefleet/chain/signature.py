"""Hashes and recoverable signatures, as the protocol uses them.

Signatures are 65 bytes r(32) | s(32) | v(1) with v 27 or 28 and s low. Every signed message is 32 bytes and goes
through EIP-191 first. Source: EIP-191, EIP-55, go-livepeer crypto/verify.
"""

import sha3
from coincurve import PrivateKey, PublicKey

from livefleet.kernel import Address

__all__ = ["checksum_address", "keccak256", "personal_hash", "recover_address", "sign_hash", "verify"]

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_PREFIX = b"\x19Ethereum Signed Message:\n32"


def keccak256(*parts: bytes) -> bytes:
    """Keccak-256 (the pre-NIST one) of the parts joined."""
    digest = sha3.keccak_256()
    for part in parts:
        digest.update(part)
    return bytes(digest.digest())


def personal_hash(message: bytes) -> bytes:
    """EIP-191 personal hash of a 32-byte message. Raises ValueError for another length."""
    if len(message) != 32:
        raise ValueError(f"a message of 32 bytes is signed, not {len(message)}")
    return keccak256(_PREFIX, message)


def sign_hash(key: PrivateKey, message: bytes) -> bytes:
    """Sign a 32-byte message under EIP-191."""
    raw = key.sign_recoverable(personal_hash(message), hasher=None)
    return bytes(raw[:64] + bytes([raw[64] + 27]))


def recover_address(message: bytes, signature: bytes) -> bytes | None:
    """The 20 address bytes that signed `message`, or None where the signature breaks a rule."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        return None
    try:
        public = PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), personal_hash(message), hasher=None
        )
    except Exception:  # noqa: BLE001 -- coincurve raises bare Exception for an unrecoverable signature
        return None
    return keccak256(public.format(compressed=False)[1:])[12:]


def verify(address: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `address` (20 bytes) signed `message`."""
    return recover_address(message, signature) == address


def checksum_address(raw: bytes) -> Address:
    """EIP-55 text of an address: the last 20 bytes of `raw`, left padded when shorter."""
    text = raw[-20:].rjust(20, b"\0").hex()
    nibbles = keccak256(text.encode()).hex()
    return Address("0x" + "".join(c.upper() if int(n, 16) > 7 else c for c, n in zip(text, nibbles, strict=False)))
