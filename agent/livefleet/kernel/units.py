"""Names for plain values, so that a swapped argument is a type error."""

from typing import NewType

Wei = NewType("Wei", int)
"""10**-18 ETH, non-negative unless said otherwise."""

Pixels = NewType("Pixels", int)
"""Encoded or decoded pixels: width x height summed over frames."""

Round = NewType("Round", int)
"""Protocol round number, as RoundsManager counts them."""

BlockNumber = NewType("BlockNumber", int)
"""An L1 block number: what contracts see as block.number and what ticket expiry counts."""

WinProb = NewType("WinProb", int)
"""Numerator of a win probability over 2**256 - 1; a ticket wins when its hash is strictly below it."""

Address = NewType("Address", str)
"""An EIP-55 checksummed 0x address, 42 characters."""

SessionId = NewType("SessionId", str)
"""What balances and transcoding sessions are keyed by; eight lower-case hex characters when we made it."""

MAX_WIN_PROB = WinProb(2**256 - 1)
ZERO_ADDRESS = Address("0x" + "00" * 20)


def to_min_bytes(value: int) -> bytes:
    """Big-endian bytes without leading zeros; zero is empty (the protocol's `min()` form).

    Raises ValueError for a negative value.
    """
    if value < 0:
        raise ValueError(f"{value} is negative")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def from_min_bytes(raw: bytes) -> int:
    """The integer of big-endian bytes; empty is zero."""
    return int.from_bytes(raw, "big")


def to_u256(value: int) -> bytes:
    """Big-endian, left padded to 32 bytes."""
    return value.to_bytes(32, "big")
