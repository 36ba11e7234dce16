"""The whole pool in one eth_call: a few dozen instructions that the node runs and forgets.

The pool is a linked list, so reading it from outside takes a round trip a member. An eth_call without a receiver runs
its data as if it made a contract, and answers what that would be: here, the list. Nothing is deployed or sent. A pool
of 100 takes one request in place of 201.
"""

from collections.abc import Iterator
from typing import Final

from livefleet.chain.abi import Function, to_raw
from livefleet.kernel import Address

__all__ = ["MEMBER_BYTES", "walk_code"]

MEMBER_BYTES: Final = 64
"""Of the answer, per member: its address and its stake, 32 bytes each."""

_OPCODES: Final = {
    "ADD": 0x01,
    "SUB": 0x03,
    "ISZERO": 0x15,
    "SHL": 0x1B,
    "MLOAD": 0x51,
    "MSTORE": 0x52,
    "JUMP": 0x56,
    "JUMPI": 0x57,
    "GAS": 0x5A,
    "JUMPDEST": 0x5B,
    "RETURN": 0xF3,
    "STATICCALL": 0xFA,
    "REVERT": 0xFD,
}
_PUSH: Final = 0x5F  # plus the number of bytes
_MEMBER, _END, _OUT = "40", "60", "80"  # memory: the member at hand, where the answer ends, where it begins


def walk_code(pool: Address, first: Function, following: Function, stake: Function) -> bytes:
    """Instructions that answer each member's address and stake, in the pool's order.

    `first` names the first member, `following` the one after, both the zero address for none; `stake` is of one member.
    They revert where one of these does.
    """
    words = [
        *_ask(pool, first, into=_MEMBER, arguments=0),
        *(_OUT, _END, "MSTORE"),
        ":loop",
        *(_MEMBER, "MLOAD", "ISZERO", "@end", "JUMPI"),
        *(_MEMBER, "MLOAD", _END, "MLOAD", "MSTORE"),
        *_ask(pool, stake, into=None, arguments=1),
        *_ask(pool, following, into=_MEMBER, arguments=1),
        *(_END, "MLOAD", f"{MEMBER_BYTES:02x}", "ADD", _END, "MSTORE"),
        *("@loop", "JUMP"),
        ":end",
        *(_OUT, _END, "MLOAD", "SUB", _OUT, "RETURN"),
        ":fail",
        *("00", "00", "REVERT"),
    ]
    return _assembled(words)


def _ask(pool: Address, function: Function, *, into: str | None, arguments: int) -> Iterator[str]:
    """Call `function` with the member at hand, or without; its answer goes to `into`, or after the member's address."""
    yield from (function.selector.hex(), "e0", "SHL", "00", "MSTORE")
    if arguments:
        yield from (_MEMBER, "MLOAD", "04", "MSTORE")
    yield "20"
    yield from (into,) if into is not None else (_END, "MLOAD", "20", "ADD")
    yield from (f"{4 + 32 * arguments:02x}", "00", to_raw(pool).hex(), "GAS", "STATICCALL")
    yield from ("ISZERO", "@fail", "JUMPI")


def _assembled(words: list[str]) -> bytes:
    """Bytes of instructions, numbers in hex, `:labels` and `@jumps` to them; below 256 bytes in all."""
    sizes = [1 if word[0] == ":" or word in _OPCODES else 2 if word[0] == "@" else 1 + len(word) // 2 for word in words]
    places = {word[1:]: sum(sizes[:index]) for index, word in enumerate(words) if word[0] == ":"}
    code = bytearray()
    for word in words:
        if word[0] == ":":
            code.append(_OPCODES["JUMPDEST"])
        elif word in _OPCODES:
            code.append(_OPCODES[word])
        else:
            data = bytes([places[word[1:]]]) if word[0] == "@" else bytes.fromhex(word)
            code += bytes([_PUSH + len(data)]) + data
    return bytes(code)
