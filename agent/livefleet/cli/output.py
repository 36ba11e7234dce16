"""What commands print, and what they end with."""

import json
import sys
from typing import Any

from rich.console import Console

from livefleet.kernel import BadInput, ExitCode, LivefleetError, OutsideWorld, Refused, Transient

_WIDE = 200  # columns, for logs and pipes

__all__ = ["console", "exit_code_of", "print_json", "report_failure"]


def console(*, stderr: bool = False) -> Console:
    """A console that keeps lines and table cells whole where output is not a terminal."""
    out = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return out if out.is_terminal else Console(stderr=stderr, highlight=False, soft_wrap=True, width=_WIDE)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def report_failure(error: LivefleetError) -> None:
    """Say on stderr what went wrong."""
    sys.stderr.write(f"{error}\n")


def exit_code_of(error: LivefleetError) -> ExitCode:
    """The exit code that goes with an error."""
    match error:
        case BadInput():
            return ExitCode.BAD_INPUT
        case OutsideWorld() | Transient() | Refused():
            return ExitCode.OUTSIDE_SAID_NO
        case _:
            return ExitCode.PARTLY_FAILED
