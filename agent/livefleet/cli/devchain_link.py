"""What the commands of `livefleet devchain` share: the checkout's code, options, and how answers are shown."""

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Coroutine
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click

from livefleet.cli.output import print_json
from livefleet.kernel import BadInput

__all__ = ["AS_JSON", "FOLDER", "coins", "from_checkout", "on_chain", "run", "show"]

T = TypeVar("T")

FOLDER = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".livefleet/devchain"),
    show_default=True,
    help="Where the chain keeps devchain.json and its log.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def coins(value: str) -> int:
    """A number of ETH or LPT, up to 18 decimals, as whole 10^-18 parts. Raises click.BadParameter."""
    try:
        parts = Fraction(value) * 10**18
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{value!r} is no number, such as 1 or 0.5") from None
    if parts.denominator != 1 or parts < 0:
        raise click.BadParameter(f"{value!r}: give zero or more, with 18 decimals at most")
    return int(parts)


def from_checkout(module: str) -> Any:
    """A module of the chain's own code, which lives beside the tests and is no part of what lands on hosts."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "tests" / "devchain" / "chain.py").is_file():
        raise BadInput(
            "the local chain lives in the project's checkout; run this from an environment made by ./run setup"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(f"tests.devchain.{module}")


def on_chain(folder: Path, work: Callable[[Any], Awaitable[T]]) -> T:
    """Do `work` with the chain that runs in `folder`. Raises BadInput where none does."""

    async def attached() -> T:
        async with await from_checkout("chain").Devchain.attach(folder) as chain:
            return await work(chain)

    return run(attached())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end."""
    return asyncio.run(work)


def show(facts: dict[str, Any], *, as_json: bool) -> None:
    """A line a fact, or one JSON document."""
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:20} {value}")
