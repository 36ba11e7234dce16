"""An amount of memory as an operator writes it."""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Memory", "parse_memory"]

_UNITS: Final = {"": 1, "b": 1, "mb": 10**6, "gb": 10**9, "mib": 2**20, "gib": 2**30}
_AMOUNT: Final = re.compile(r"\s*([0-9]{1,15})(?:\.([0-9]{1,6}))?\s*([A-Za-z]*)\s*", re.ASCII)


def parse_memory(value: Any) -> int:
    """`9 GiB`, `800 MB` or a plain number, in bytes. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("an amount of memory is a text such as '9 GiB'")  # noqa: TRY004 -- pydantic wants ValueError
    match = _AMOUNT.fullmatch(str(value))
    factor = _UNITS.get(match[3].lower()) if match is not None else None
    if match is None or factor is None:
        raise ValueError(f"{str(value)[:40]!r} is no amount of memory; write for example '9 GiB' or '800 MB'")
    decimals = match[2] or ""
    amount: int = int(match[1] + decimals) * factor // 10 ** len(decimals)
    if amount == 0:
        raise ValueError("no memory at all is not enough")
    return amount


Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["9 GiB", 800000000]}),
]
"""Bytes; MB, GB, MiB and GiB understood."""
