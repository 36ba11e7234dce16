"""EIP-55: the capitals of an address are its checksum. Pure Python, since the operator's side has no keccak library."""

from typing import Final

__all__ = ["checksummed", "is_checksum_wrong", "wrong_checksum"]

_MASK: Final = (1 << 64) - 1
_RATE: Final = 136  # bytes of a block
_ROUNDS: Final = 24
_BYTE: Final = 8  # from this hex digit of the hash on, a letter is written large


def is_checksum_wrong(address: str) -> bool:
    """Whether a 0x address in both cases has a wrong capital: it is mistyped. One case alone carries no checksum."""
    digits = address[2:]
    return digits not in (digits.lower(), digits.upper()) and address != checksummed(address)


def wrong_checksum(address: str) -> str:
    """What to tell of one."""
    return (
        f"{address} has a wrong checksum (EIP-55): a character is mistyped; copy it again, or write it in small letters"
    )


def checksummed(address: str) -> str:
    """The address with EIP-55's capitals."""
    digits = address[2:].lower()
    hashed = _keccak256(digits.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(of_hash, 16) >= _BYTE else letter for letter, of_hash in zip(digits, hashed, strict=False)
    )


def _keccak256(message: bytes) -> bytes:
    """Keccak-256 with the padding from before SHA-3, of a message shorter than one block. Source: Keccak reference."""
    block = bytearray(message + b"\x01" + bytes(_RATE - len(message) - 1))
    block[-1] |= 0x80
    lanes = [int.from_bytes(block[i : i + 8], "little") for i in range(0, _RATE, 8)] + [0] * 8
    constant = 1  # a shift register gives each round's constant
    for _ in range(_ROUNDS):
        lanes = _mixed(lanes)
        for bit in range(7):
            if constant & 1:
                lanes[0] ^= 1 << ((1 << bit) - 1)
            constant = (constant << 1) ^ (0x171 if constant >> 7 else 0)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _mixed(lanes: list[int]) -> list[int]:
    """Theta, rho, pi and chi of one round; lane (x, y) stands at x + 5y."""
    columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
    parity = [columns[(x + 4) % 5] ^ _turned(columns[(x + 1) % 5], 1) for x in range(5)]
    lanes = [lane ^ parity[index % 5] for index, lane in enumerate(lanes)]
    x, y, moving = 1, 0, lanes[1]
    for step in range(_ROUNDS):
        x, y = y, (2 * x + 3 * y) % 5
        place = x + 5 * y
        moving, lanes[place] = lanes[place], _turned(moving, (step + 1) * (step + 2) // 2 % 64)
    return [
        lanes[x + 5 * y] ^ (~lanes[(x + 1) % 5 + 5 * y] & lanes[(x + 2) % 5 + 5 * y] & _MASK)
        for y in range(5)
        for x in range(5)
    ]


def _turned(lane: int, bits: int) -> int:
    return ((lane << bits) | (lane >> (64 - bits))) & _MASK
