"""Contract interfaces as people write them: `getSenderInfo(address) returns ((uint256,uint256),(uint256,uint256))`.

Each contract's file carries the few fragments that it calls; selectors and topics are computed from them.
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from livefleet.chain.errors import NodeError
from livefleet.chain.signature import checksum_address, keccak256
from livefleet.chain.stack import eth_abi

__all__ = ["Event", "Function", "to_raw"]

_NAME = re.compile(r"\s*(\w+)\s*")
_WORD = re.compile(r"\s*([\w\[\]]+)")
_LABELS = re.compile(r"([\w\s]*)[,)]")


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how to call it and how to read its answer."""

    name: str
    inputs: tuple[str, ...]  # canonical types, tuples written `(address,uint256)`
    outputs: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name(type name, …) returns (type name, …)`; names and the returns part may be left out."""
        name, rest = _head(text)
        inputs, rest = _parameters(rest)
        rest = rest.strip()
        outputs, rest = _parameters(rest.removeprefix("returns").strip()) if rest.startswith("returns") else ([], rest)
        if rest.strip():
            raise ValueError(f"{text!r}: cannot read {rest!r}")
        return cls(name, tuple(kind for kind, _ in inputs), tuple(kind for kind, _ in outputs))

    @property
    def signature(self) -> str:
        """The canonical signature that the selector is the hash of."""
        return f"{self.name}({','.join(self.inputs)})"

    @property
    def selector(self) -> bytes:
        """The first four bytes of the calldata."""
        return keccak256(self.signature.encode())[:4]

    def encode(self, *values: Any) -> bytes:
        """Calldata. Addresses go as 0x text, bytes as bytes, tuples as tuples."""
        return self.selector + eth_abi.abi.encode(list(self.inputs), list(values))

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The returned values; addresses checksummed. Raises NodeError where the data does not fit."""
        try:
            values = eth_abi.abi.decode(list(self.outputs), data)
        except eth_abi.exceptions.DecodingError as error:
            raise NodeError(f"{self.name}: an answer of {len(data)} bytes is no ({','.join(self.outputs)})") from error
        return tuple(_tidy(kind, value) for kind, value in zip(self.outputs, values, strict=True))


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its topic and how to read a log of it."""

    name: str
    inputs: tuple[tuple[str, bool], ...]  # (canonical type, indexed)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `Name(type indexed name, …)`."""
        name, rest = _head(text)
        inputs, rest = _parameters(rest)
        if rest.strip():
            raise ValueError(f"{text!r}: cannot read {rest!r}")
        return cls(name, tuple(inputs))

    @property
    def signature(self) -> str:
        """The canonical signature that the topic is the hash of."""
        return f"{self.name}({','.join(kind for kind, _ in self.inputs)})"

    @property
    def topic(self) -> bytes:
        """The first topic of its logs."""
        return keccak256(self.signature.encode())

    def matches(self, topics: tuple[bytes, ...]) -> bool:
        """Whether a log with these topics is one of this event."""
        indexed = sum(1 for _, is_indexed in self.inputs if is_indexed)
        return len(topics) == indexed + 1 and topics[0] == self.topic

    def decode(self, topics: tuple[bytes, ...], data: bytes) -> tuple[Any, ...]:
        """The event's values in the order of its declaration."""
        plain = iter(eth_abi.abi.decode([kind for kind, is_indexed in self.inputs if not is_indexed], data))
        raw = iter(topics[1:])
        return tuple(
            _tidy(kind, eth_abi.abi.decode([kind], next(raw))[0] if is_indexed else next(plain))
            for kind, is_indexed in self.inputs
        )


def to_raw(address: str) -> bytes:
    """The 20 bytes of a 0x address."""
    return bytes.fromhex(address[2:])


def _tidy(kind: str, value: Any) -> Any:
    return checksum_address(to_raw(value)) if kind == "address" else value


def _head(text: str) -> tuple[str, str]:
    found = _NAME.match(text)
    if found is None:
        raise ValueError(f"{text!r}: no name")
    return found[1], text[found.end() :]


def _parameters(text: str) -> tuple[list[tuple[str, bool]], str]:
    """Read `(…)` at the start: each parameter's canonical type and whether it is indexed; and what follows."""
    if not text.startswith("("):
        raise ValueError(f"{text!r}: expected an opening bracket")
    rest = text[1:].lstrip()
    found: list[tuple[str, bool]] = []
    while not rest.startswith(")"):
        if rest.startswith("("):
            members, rest = _parameters(rest)
            kind = f"({','.join(member for member, _ in members)})"
            if rest.startswith("[]"):
                kind, rest = kind + "[]", rest[2:]
        else:
            word = _WORD.match(rest)
            if word is None:
                raise ValueError(f"{text!r}: cannot read {rest!r}")
            kind, rest = word[1], rest[word.end() :]
        labels = _LABELS.match(rest)
        if labels is None:
            raise ValueError(f"{text!r}: no closing bracket")
        found.append((kind, "indexed" in labels[1].split()))
        rest = rest[labels.end(1) :].removeprefix(",").lstrip()
    return found, rest[1:]
