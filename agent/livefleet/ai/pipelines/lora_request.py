"""The `loras` field of a request: JSON text of strengths by name. Imports no torch."""

import math
import re
from collections.abc import Mapping

from pydantic_core import from_json

__all__ = ["MAX_LORAS", "lora_strengths"]

MAX_LORAS = 4
"""Most LoRAs of one request, as in ai-runner."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)  # a hub id, never a path outside


def lora_strengths(text: str) -> Mapping[str, float]:
    """Strengths by hub id; empty where none is wanted. Raises ValueError in ai-runner's words."""
    if not text:
        return {}
    try:
        found = from_json(text)  # bounded in depth, as the standard library's reader is not
    except ValueError:
        raise ValueError(f"Unable to parse '{text[:200]}' as JSON.") from None
    if not isinstance(found, dict):
        raise ValueError(f"Unable to parse '{text[:200]}' as JSON.")  # noqa: TRY004 -- the value of a text is meant
    if not all(_is_strength(strength) for strength in found.values()):
        raise ValueError("All strengths must be numbers greater than or equal to 0.0.")
    if len(found) > MAX_LORAS:
        raise ValueError(f"Too many LoRas provided. Maximum is {MAX_LORAS}.")
    for name in found:
        if not _NAME.fullmatch(name):
            raise ValueError(f"LoRa repository '{name[:200]}' not found.")
    return {name: float(strength) for name, strength in found.items()}


def _is_strength(value: object) -> bool:
    """Numbers and their texts, as Python's `float` takes them; neither NaN nor infinite."""
    if not isinstance(value, int | float | str):
        return False
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return False
    return math.isfinite(number) and number >= 0
