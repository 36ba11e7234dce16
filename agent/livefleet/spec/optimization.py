"""ai-runner's optimization flags: names and values of environment variables of its containers."""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

__all__ = ["OptimizationFlags", "switched_on_by_false"]

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
# The runner only tests whether these are set at all, so that `false` switches them on.
_TESTED_FOR_PRESENCE: Final = frozenset({"TORCH_COMPILE", "BFLOAT16"})
_NO: Final = frozenset({"false", "0", "no", "off"})
_EXCLUSIVE: Final = ("SFAST", "DEEPCACHE")


def switched_on_by_false(name: str, value: str | bool) -> bool:
    """Whether ai-runner takes this "no" for a "yes"."""
    return name in _TESTED_FOR_PRESENCE and (value is False or str(value).lower() in _NO)


def _flags(value: Any) -> dict[str, str | bool]:
    if not isinstance(value, dict):
        raise ValueError("flags are a mapping, for example {SFAST: true}")  # noqa: TRY004 -- pydantic wants ValueError
    for name, flag in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"`{name}` is no name of a flag: capital letters, digits and `_`")
        if not isinstance(flag, str | bool):
            raise ValueError(f'`{name}` is true, false or text: write {name}: "{flag}"')  # noqa: TRY004 -- likewise
    return value


def _sensible(flags: dict[str, str | bool]) -> dict[str, str | bool]:
    for name, flag in flags.items():
        if switched_on_by_false(name, flag):
            raise ValueError(f"ai-runner switches `{name}` on by any value, `{flag}` too; leave it out")
    if all(flags.get(name) in (True, "true") for name in _EXCLUSIVE):
        raise ValueError(f"{' and '.join(_EXCLUSIVE)} exclude each other")
    return flags


OptimizationFlags = Annotated[
    dict[str, str | bool],
    BeforeValidator(_flags),
    AfterValidator(_sensible),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Z][A-Z0-9_]*$"},
            "additionalProperties": {"type": ["string", "boolean"]},
        }
    ),
]
"""Flags by name; values are text, true or false."""
