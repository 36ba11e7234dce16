"""Findings as a table, the worst first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from livefleet.kernel import ExitCode
from livefleet.spec import Finding, Grade

__all__ = ["exit_code_of", "findings_table", "in_short"]

_ORDER: Final = (Grade.FAIL, Grade.WARN, Grade.SKIP, Grade.OK)
_COLOURS: Final = {Grade.FAIL: "red", Grade.WARN: "yellow", Grade.SKIP: "dim", Grade.OK: "green"}


def findings_table(title: str, findings: Sequence[Finding], *, show_all: bool) -> Table:
    """What is wrong, with the fix below each; what is well only where all is to be shown."""
    table = Table(title=f"{title}: {in_short(findings)}", title_justify="left", box=None, show_header=False)
    for finding in sorted(findings, key=lambda f: _ORDER.index(f.grade)):
        if finding.grade in {Grade.OK, Grade.SKIP} and not show_all:
            continue
        table.add_row(
            Text(finding.grade.value, style=_COLOURS[finding.grade]),
            Text(finding.area),
            Text(finding.what),
            Text(finding.message),
        )
        if finding.fix:
            table.add_row("", "", "", Text(f"-> {finding.fix}", style="bold"))
    return table


def in_short(findings: Sequence[Finding]) -> str:
    """`1 wrong, 2 warnings, 14 well`."""
    counts = Counter(finding.grade for finding in findings)
    words = {Grade.FAIL: "wrong", Grade.WARN: "to watch", Grade.SKIP: "not looked at", Grade.OK: "well"}
    return ", ".join(f"{counts[grade]} {words[grade]}" for grade in _ORDER if counts[grade]) or "nothing looked at"


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """1 where something is wrong; warnings are none."""
    is_wrong = any(finding.grade is Grade.FAIL for finding in findings)
    return ExitCode.PARTLY_FAILED if is_wrong else ExitCode.DONE
