"""ABI values as text that people read and files carry, and back."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from livefleet.chain.signature import checksum_address
from livefleet.kernel import BadInput

__all__ = ["from_text", "to_text"]

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_INTEGER: Final = re.compile(r"-?[0-9]+\Z")


def to_text(kind: str, value: Any) -> str:
    """A decoded value of ABI type `kind`: numbers in decimal, bytes in hex, checksummed addresses, lists in JSON."""
    if kind.endswith("[]"):
        return json.dumps([to_text(kind[:-2], one) for one in value])
    if kind == "address":
        return checksum_address(bytes.fromhex(str(value)[2:]))
    if kind == "bool":
        return "true" if value else "false"
    if kind.startswith("bytes"):
        return "0x" + bytes(value).hex()
    return str(value)


def from_text(kind: str, text: str) -> Any:
    """The value that `to_text` wrote. Raises BadInput for a text that is none of this type."""
    if kind.endswith("[]"):
        return [from_text(kind[:-2], one) for one in _list(text)]
    if kind == "address":
        return _matched(_ADDRESS, kind, text)
    if kind == "bool":
        return {"true": True, "false": False}[_matched(re.compile(r"true\Z|false\Z"), kind, text)]
    if kind.startswith("bytes"):
        return bytes.fromhex(_matched(_HEX, kind, text)[2:])
    if kind.startswith(("uint", "int")):
        return int(_matched(_INTEGER, kind, text))
    if kind == "string":
        return text
    raise BadInput(f"arguments of type {kind} cannot be written as text")


def _matched(pattern: re.Pattern[str], kind: str, text: str) -> str:
    if pattern.match(text) is None:
        raise BadInput(f"{text!r} is no {kind}")
    return text


def _list(text: str) -> Sequence[str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no list") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadInput(f"{text!r} is no list of texts")
    return found
