"""What every report begins with: the books of the asked hosts or files, and the part of them that is asked for."""

import csv
import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.kernel import BadInput, ExitCode, OutsideWorld

if TYPE_CHECKING:
    from livefleet.ledger import Combined, Window

__all__ = ["Asked", "Bound", "print_csv", "report_options"]


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of the window."""

    round: int | None = None
    day: date | None = None


def _bound(text: str) -> Bound:
    if text.isdecimal():
        return Bound(round=int(text))
    try:
        return Bound(day=date.fromisoformat(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither a round (3512) nor a day (2026-01-31)") from error


@dataclass(frozen=True, slots=True)
class Asked:
    """The books, and what is asked of them."""

    books: "Combined"  # all of them
    window: "Window"
    errors: tuple[str, ...]  # of hosts whose books are missing
    fleet: Path  # the spec

    @property
    def within(self) -> "Combined":
        """The part in the window."""
        return self.books.within(self.window)

    @property
    def exit_code(self) -> ExitCode:
        """1 where some host's books are missing."""
        return ExitCode.PARTLY_FAILED if self.errors else ExitCode.DONE


def report_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds HOSTS, --fleet, --ledger, --from and --to; hands the command `asked`, a function that reads the books."""

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        hosts: tuple[str, ...],
        fleet: Path,
        ledgers: tuple[Path, ...],
        first: Bound | None,
        last: Bound | None,
        parallel: int,
        **kwargs: Any,
    ) -> Any:
        def asked() -> Asked:
            return _read(hosts, fleet, ledgers, first or Bound(), last or Bound(), parallel)

        return function(*args, asked=asked, **kwargs)

    decorated: Callable[..., Any] = wrapped
    path = click.Path(path_type=Path)
    for option in (
        click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Hosts at once."),
        click.option("--to", "last", type=_bound, metavar="ROUND|DAY", help="The last round or day (UTC), included."),
        click.option(
            "--from", "first", type=_bound, metavar="ROUND|DAY", help="The first round or day (UTC), included."
        ),
        click.option(
            "--ledger",
            "ledgers",
            type=path,
            multiple=True,
            help="A ledger file or what `agent ledger` printed, in place of hosts; repeatable.",
        ),
        click.option("--fleet", type=path, envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."),
        click.argument("hosts", nargs=-1),
    ):
        decorated = option(decorated)
    return decorated


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file on stdout, header first."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(header)
    out.writerows(["" if cell is None else cell for cell in row] for row in rows)


def _read(
    hosts: tuple[str, ...], fleet: Path, ledgers: tuple[Path, ...], first: Bound, last: Bound, parallel: int
) -> Asked:
    from livefleet.ledger import Window, combine, parse_dump

    window = Window(first_round=first.round, last_round=last.round, first_day=first.day, last_day=last.day)
    if ledgers:
        if hosts:
            raise BadInput("give either hosts or --ledger files")
        return Asked(combine([_read_file(path) for path in ledgers]), window, (), fleet)
    from livefleet.control import fetch_ledgers
    from livefleet.spec import load_fleet

    fetched = fetch_ledgers(load_fleet(fleet), hosts, parallel=parallel)
    errors = tuple(f"{one.host}: {one.error}" for one in fetched if one.error)
    for error in errors:
        click.echo(error, err=True)
    books = [parse_dump(one.text, where=one.host) for one in fetched if not one.error]
    if not books:
        raise OutsideWorld("no host gave its books; they are missing above")
    return Asked(combine(books), window, errors, fleet)


def _read_file(path: Path) -> Any:
    from livefleet.ledger import Books, parse_dump, read_ledger

    try:
        with path.open("rb") as file:
            begins = file.read(16)
    except OSError as error:
        raise BadInput(f"{path}: cannot read the ledger: {error.strerror}") from error
    if begins.startswith(b"SQLite format 3"):
        owner, entries = read_ledger(path)
        return Books(path.stem, owner, tuple(entries), ())
    return parse_dump(path.read_text(errors="replace"), where=str(path))
