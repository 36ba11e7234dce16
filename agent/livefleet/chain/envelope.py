"""EIP-1559 transactions as bytes: unsigned, signed, and read back from what was signed.

Source: EIP-2718, EIP-1559.
"""

from dataclasses import dataclass
from typing import Any

from livefleet.chain.signature import checksum_address, keccak256, recover_signer
from livefleet.chain.stack import rlp
from livefleet.kernel import Address, BadInput, Wei

__all__ = ["SignedTransaction", "parse_signed", "signed_bytes", "unsigned_bytes"]

_TYPE = b"\x02"
_FIELDS = 9  # before the signature


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What a raw signed transaction says, and who signed it."""

    hash: bytes
    sender: Address
    chain_id: int
    nonce: int
    tip: Wei  # wei per gas
    max_fee: Wei  # wei per gas
    gas: int
    to: Address
    value: Wei
    data: bytes


def unsigned_bytes(transaction: dict[str, Any]) -> bytes:
    """The bytes whose keccak256 is signed, of a transaction given as web3's fields (`type` 2, no access list)."""
    return _TYPE + bytes(rlp.encode(_body(transaction)))


def signed_bytes(transaction: dict[str, Any], signature: bytes) -> bytes:
    """The raw transaction with a 65-byte signature r | s | v over `unsigned_bytes`, v 27 or 28."""
    r, s, v = (int.from_bytes(part) for part in (signature[:32], signature[32:64], signature[64:]))
    return _TYPE + bytes(rlp.encode([*_body(transaction), v - 27, r, s]))


def parse_signed(raw: bytes) -> SignedTransaction:
    """Read a raw transaction and recover its sender. Raises BadInput where it is no signed EIP-1559 transaction."""
    try:
        items = rlp.decode(raw[1:]) if raw[:1] == _TYPE else []
    except rlp.exceptions.RLPException as error:
        raise BadInput(f"is no signed EIP-1559 transaction: {error}") from error
    if len(items) != _FIELDS + 3 or any(isinstance(item, list) for item in (*items[:8], *items[9:])):
        raise BadInput("is no signed EIP-1559 transaction: it has other fields")
    chain_id, nonce, tip, max_fee, gas, value, y, r, s = (int.from_bytes(items[i]) for i in (*range(5), 6, 9, 10, 11))
    if len(items[5]) != 20 or items[8] or y > 1 or max(r, s) >= 1 << 256:
        raise BadInput("is no signed EIP-1559 transaction of a plain call")
    digest = keccak256(_TYPE + bytes(rlp.encode(items[:_FIELDS])))
    signer = recover_signer(digest, r.to_bytes(32) + s.to_bytes(32) + bytes([y + 27]))
    if signer is None:
        raise BadInput("is no signed EIP-1559 transaction: its signature is no signature")
    return SignedTransaction(
        hash=keccak256(raw),
        sender=checksum_address(signer),
        chain_id=chain_id,
        nonce=nonce,
        tip=Wei(tip),
        max_fee=Wei(max_fee),
        gas=gas,
        to=checksum_address(items[5]),
        value=Wei(value),
        data=bytes(items[7]),
    )


def _body(transaction: dict[str, Any]) -> list[Any]:
    return [
        transaction["chainId"],
        transaction["nonce"],
        transaction["maxPriorityFeePerGas"],
        transaction["maxFeePerGas"],
        transaction["gas"],
        bytes.fromhex(transaction["to"][2:]),
        transaction["value"],
        bytes(transaction["data"]),
        [],
    ]
