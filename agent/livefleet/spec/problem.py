"""What is wrong with a file, where, and what to do about it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from livefleet.kernel import BadInput

__all__ = ["Problem", "SpecError", "did_you_mean"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake; prints as `fleet.yaml:14:7: message; hint`."""

    file: str
    line: int  # from 1
    column: int  # from 1
    message: str
    hint: str = ""
    path: str = ""  # dotted, from the file's top: `hosts.gpu-1.duties`

    def __str__(self) -> str:
        tail = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{tail}"


class SpecError(BadInput):
    """Every problem of a spec, by position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as a question, else the known words as a list; empty where nothing is known."""
    words = sorted(known)
    folded = {name.casefold(): name for name in words}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{folded[near[0]]}`?"
    return f"known: {', '.join(words)}" if 0 < len(words) <= 20 else ""
