"""What a host tells of the programs that monitor it, or others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["PROGRAM_LINES", "ProgramFact", "parse_programs", "parse_stamps"]

PROGRAM_LINES: Final = ("program", "program_stamp")
"""Names that may be printed many times."""


@dataclass(frozen=True, slots=True)
class ProgramFact:
    """An installed program, by its unit."""

    active: bool
    enabled: bool


def parse_programs(lines: Sequence[str]) -> Mapping[str, ProgramFact]:
    """`UNIT active|… enabled|…`, one a line, by unit."""
    words = [line.split() for line in lines]
    return {unit: ProgramFact(state == "active", enabled == "enabled") for unit, state, enabled, *_ in words}


def parse_stamps(lines: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """`NAME DIGEST DIGEST`, one a line: what the program was started with, and what it last read."""
    words = [line.split() for line in lines]
    return {name: (started, read) for name, started, read in (found for found in words if len(found) == 3)}
