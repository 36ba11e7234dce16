"""Hashes and recoverable signatures, as the protocol uses them.

Signatures are 65 bytes r(32) | s(32) | v(1) with v 27 or 28 and s low. Every signed message is 32 bytes and goes
through EIP-191 first. Source: EIP-191, EIP-55, go-livepeer crypto/verify.
"""

import functools
from typing import TYPE_CHECKING, Any

import sha3

from livefleet.chain.stack import coincurve, secp256k1
from livefleet.kernel import Address

if TYPE_CHECKING:
    from coincurve import PrivateKey

__all__ = [
    "checksum_address",
    "keccak256",
    "personal_hash",
    "personal_message",
    "recover_address",
    "recover_signer",
    "sign_hash",
    "verify",
]

_HALF_ORDER = bytes.fromhex("7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0")
_PREFIX = b"\x19Ethereum Signed Message:\n32"

_EC_UNCOMPRESSED = 2  # SECP256K1_EC_UNCOMPRESSED


def keccak256(*parts: bytes) -> bytes:
    """Keccak-256 (the pre-NIST one) of the parts joined."""
    digest = sha3.keccak_256(parts[0] if parts else b"")
    for part in parts[1:]:
        digest.update(part)
    return bytes(digest.digest())


def personal_message(message: bytes) -> bytes:
    """A 32-byte message with its EIP-191 prefix. Raises ValueError for another length."""
    if len(message) != 32:
        raise ValueError(f"a message of 32 bytes is signed, not {len(message)}")
    return _PREFIX + message


def personal_hash(message: bytes) -> bytes:
    """EIP-191 personal hash of a 32-byte message. Raises ValueError for another length."""
    return keccak256(personal_message(message))


def sign_hash(key: "PrivateKey", message: bytes) -> bytes:
    """Sign a 32-byte message under EIP-191."""
    raw = key.sign_recoverable(personal_hash(message), hasher=None)
    return bytes(raw[:64] + bytes([raw[64] + 27]))


def recover_address(message: bytes, signature: bytes) -> bytes | None:
    """The 20 address bytes that signed the 32-byte `message`, or None where the signature breaks a rule."""
    return recover_signer(personal_hash(message), signature)


def recover_signer(digest: bytes, signature: bytes) -> bytes | None:
    """The 20 address bytes that signed a 32-byte digest as it is, or None where the signature breaks a rule."""
    if len(signature) != 65 or signature[64] not in (27, 28) or signature[32:64] > _HALF_ORDER:
        return None
    ffi, lib, context, signature_type, key_type, point_type, length_type = _curve()
    parsed, public = ffi.new(signature_type), ffi.new(key_type)
    if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(context, parsed, signature, signature[64] - 27):
        return None
    if not lib.secp256k1_ecdsa_recover(context, public, parsed, digest):
        return None
    point = ffi.new(point_type)
    lib.secp256k1_ec_pubkey_serialize(context, point, ffi.new(length_type, 65), public, _EC_UNCOMPRESSED)
    return bytes(sha3.keccak_256(ffi.buffer(point)[1:]).digest()[12:])


def verify(address: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `address` (20 bytes) signed `message`."""
    return recover_address(message, signature) == address


def checksum_address(raw: bytes) -> Address:
    """EIP-55 text of an address: the last 20 bytes of `raw`, left padded when shorter."""
    text = raw[-20:].rjust(20, b"\0").hex()
    nibbles = keccak256(text.encode()).hex()
    # Every GetOrchestrator does this; with a generator and int() it takes thrice as long.
    return Address("0x" + "".join([c.upper() if n > "7" else c for c, n in zip(text, nibbles, strict=False)]))


@functools.cache
def _curve() -> tuple[Any, ...]:
    """The library's own functions, its context, and the C types in use: its wrappers cost a tenth more a ticket."""
    kinds = ("secp256k1_ecdsa_recoverable_signature *", "secp256k1_pubkey *", "unsigned char[65]", "size_t *")
    ffi = secp256k1.ffi
    return ffi, secp256k1.lib, coincurve.context.GLOBAL_CONTEXT.ctx, *(ffi.typeof(kind) for kind in kinds)
