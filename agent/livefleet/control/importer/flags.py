"""go-livepeer's flags as far as an import must know them: their kind, their state, and what becomes of them.

The table itself is `flag_table.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from livefleet.control.importer import flag_table
from livefleet.spec.problem import did_you_mean

__all__ = ["Fate", "Flag", "FlagKind", "flags", "near_flag", "state_of"]


class FlagKind(StrEnum):
    """What a flag takes, in Go's terms."""

    BOOL = "bool"  # stands alone, or `-name=false`; never `-name false`
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    DURATION = "duration"


class Fate(StrEnum):
    """What an import does with a flag."""

    MAPPED = "mapped"
    EXPLAINED = "explained"  # nothing of the spec says it; the table says why and what to do
    GATEWAY = "gateway"  # for go-livepeer's gateways and signers, which are no part of a fleet
    REMOVED = "removed"  # no release has it any more


@dataclass(frozen=True, slots=True)
class Flag:
    """One row of the table."""

    name: str
    kind: FlagKind
    fate: Fate
    text: str  # MAPPED: fields of the spec; else why, and what to do
    deprecated: str = ""  # what to write instead in go-livepeer; empty: it is current
    secret: bool = False


@cache
def flags() -> Mapping[str, Flag]:
    """Every flag by name, as go-livepeer spells it."""
    rows = [_row(line) for line in flag_table.ROWS.strip().splitlines() if line and not line.startswith("#")]
    return {row.name: row for row in rows}


def near_flag(name: str) -> str:
    """`did you mean ...?` for an unknown flag; empty where nothing is near."""
    hint = did_you_mean(name, [flag.name for flag in flags().values() if flag.fate is not Fate.REMOVED])
    return hint.replace("`", "`-", 1) if hint.startswith("did you mean") else ""


def state_of(flag: Flag) -> str:
    """`current`, `deprecated` or `removed`."""
    return "removed" if flag.fate is Fate.REMOVED else "deprecated" if flag.deprecated else "current"


def _row(line: str) -> Flag:
    name, kind, fate, text, *rest = (cell.strip() for cell in line.split("|"))
    deprecated = next((cell.removeprefix("use ") for cell in rest if cell.startswith("use ")), "")
    return Flag(name, FlagKind(kind), Fate(fate), text, deprecated, "secret" in rest)
