"""`livefleet models pull`: models' files, resumed and checked."""

import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from livefleet.cli.models.declared import NODE, Declared, as_owner, declared_models
from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode

if TYPE_CHECKING:
    from livefleet.ai import PullPlan, SourceMissing, Wanted

__all__ = ["command"]


@click.command("pull")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@NODE
@click.option("--verify", is_flag=True, help="Read what is here too, and fetch anew what the disk has spoilt.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, models: tuple[str, ...], node: Path, *, verify: bool, as_json: bool) -> None:
    """Have the files of MODELs here, of all that the node loads unless some are named.

    Only what a pipeline needs is fetched, from the site's cache where there is one, else from the hub. A pull that was
    ended goes on where it was; a branch that has moved is followed, and the model loads it at its next start. Exit code
    1: some could not be had; 2: wrong input; 3: none could.
    """
    declared = declared_models(node, models)
    with as_owner(declared.spec.paths.state):
        results = _pull(declared, verify=verify, quiet=as_json)
    failed = [result for result in results if result["error"] is not None]
    if as_json:
        print_json({"ok": not failed, "models": results})
    else:
        for result in results:
            console(stderr=result["error"] is not None).print(_text(result), markup=False)
    if failed:
        ctx.exit(ExitCode.OUTSIDE_SAID_NO if len(failed) == len(results) else ExitCode.PARTLY_FAILED)


def _pull(declared: Declared, *, verify: bool, quiet: bool) -> list[dict[str, Any]]:
    from livefleet.ai import SourceMissing

    out = console(stderr=True)
    results = []
    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(binary_units=False),
        TransferSpeedColumn(), TimeRemainingColumn(), console=out, disable=quiet or not out.is_terminal,
    ) as progress:  # fmt: skip
        bars = _Bars(progress)
        for model_id, wanted in _wanted(declared):
            result: dict[str, Any] = {"model": model_id, "error": None}
            try:
                if isinstance(wanted, SourceMissing):
                    raise wanted
                pulled = declared.weights.pull(wanted, stop=threading.Event(), watcher=bars, verify=verify)
            except SourceMissing as error:
                result |= {"error": str(error)}
            else:
                result |= {**asdict(pulled), "folder": str(pulled.folder)}
            results.append(result)
    return results


def _wanted(declared: Declared) -> "Iterator[tuple[str, Wanted | SourceMissing]]":
    """Each repository once; what is in a folder of the operator's is not pulled."""
    from livefleet.ai import SourceMissing, Wanted

    seen = set()
    for entry, dtype in declared.models:
        for part in declared.weights.parts(entry):
            try:
                wanted = declared.weights.wanted(entry, dtype, part)
            except SourceMissing as error:
                yield entry.model_id, error
                continue
            if isinstance(wanted, Wanted) and wanted not in seen:
                seen.add(wanted)
                yield entry.model_id, wanted


class _Bars:
    """A bar a model. Told from the threads that download."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[Wanted, TaskID] = {}

    def planned(self, plan: "PullPlan") -> None:
        """A bar of what is to come; none where nothing is."""
        if plan.missing:
            total = sum(file.size for file in plan.missing)
            bar = self._progress.add_task(plan.wanted.repository, total=total, completed=total - plan.to_fetch)
            self._bars[plan.wanted] = bar

    def advanced(self, wanted: "Wanted", amount: int) -> None:
        """On it goes."""
        if wanted in self._bars:
            self._progress.advance(self._bars[wanted], amount)


def _text(result: dict[str, Any]) -> str:
    if result["error"] is not None:
        return f"{result['model']}: {result['error']}"
    fetched = f"{result['fetched'] / 1e6:.1f} MB fetched" if result["fetched"] else "was here"
    where = result["wanted"]["repository"]
    return (
        f"{where} at {result['commit'][:10]}: {result['files']} files, {result['size'] / 1e6:.1f} MB, {fetched}; "
        f"{result['folder']}"
    )
