"""`livefleet models list`: declared models, their files here, and whether they are warm."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from livefleet.cli.agent_drain import ask_status
from livefleet.cli.models.agent_status import load_text, runners_of
from livefleet.cli.models.declared import NODE, Declared, declared_models
from livefleet.cli.models.earnings import account_of, earning_cells
from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode
from livefleet.spec import ModelEntry

__all__ = ["command"]

_COLUMNS = (
    "MODEL", "PIPELINE", "DECLARED", "NOW", "INCOME", "DEVICE s", "A SECOND", "FILES", "SIZE", "REVISION", "WHERE",
)  # fmt: skip
_RIGHT = {"INCOME", "DEVICE s", "A SECOND", "SIZE"}


@click.command("list")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@NODE
@click.option("--verify", is_flag=True, help="Read every file and compare its hash.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, models: tuple[str, ...], node: Path, *, verify: bool, as_json: bool) -> None:
    """What the node declares, which of its files are here, and whether gateways find it warm now; how far loads are.

    Nothing is fetched or changed. Exit code 1: files are missing or damaged; 2: wrong input.
    """
    declared = declared_models(node, models)
    status = ask_status(declared.spec)
    rows = [_row(declared, entry, dtype, status, verify=verify) for entry, dtype in declared.models]
    ok = all(part["is_here"] for row in rows for part in row["parts"])
    if as_json:
        print_json({"ok": ok, "agent": status is not None, "models": rows})
    else:
        _print(rows, agent=status is not None)
    ctx.exit(ExitCode.DONE if ok else ExitCode.PARTLY_FAILED)


def _row(
    declared: Declared, entry: ModelEntry, dtype: str, status: dict[str, Any] | None, *, verify: bool
) -> dict[str, Any]:
    return {
        "model": entry.model_id,
        "pipeline": entry.pipeline.value,
        "declared": "warm" if entry.warm else "cold",
        "device": entry.device,
        "dtype": dtype,
        "now": _now(entry, status),
        "runners": _runners(entry, status),
        "account": account_of(status or {}, entry.pipeline.value, entry.model_id),
        "served_by": entry.url or ("workers" if not entry.is_local else "this node"),
        "parts": [_part(declared, entry, dtype, part, verify=verify) for part in declared.weights.parts(entry)],
    }


def _part(declared: Declared, entry: ModelEntry, dtype: str, part: Any, *, verify: bool) -> dict[str, Any]:
    from livefleet.ai import SourceMissing, state_of

    try:
        state = state_of(declared.weights, entry, dtype, part, verify=verify)
    except SourceMissing as error:
        return {"part": part.value, "is_here": False, "error": str(error)}
    return {"part": part.value, "is_here": state.is_here, "error": None, **asdict(state)}


def _now(entry: ModelEntry, status: dict[str, Any] | None) -> str:
    """`warm` or `cold` as gateways are told, `unloaded`, `not offered`, or `unknown` where no agent answers."""
    if status is None:
        return "unknown"
    models = status.get("models")
    mine = [
        told for told in (models if isinstance(models, list) else [])
        if isinstance(told, dict) and told.get("model_id") == entry.model_id
        and told.get("pipeline", entry.pipeline) == entry.pipeline
    ]  # fmt: skip
    if mine:
        return "warm" if any(told.get("warm") for told in mine) else "cold"
    return "unloaded" if any(runner["state"] == "unloaded" for runner in _runners(entry, status)) else "not offered"


def _runners(entry: ModelEntry, status: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Where it runs, how it is there, how far a load is, and what an operator asked last."""
    told = ("device", "state", "reason", "message", "loading", "order", "proved_ago_s")
    return [
        {name: runner.get(name) for name in told}
        for runner in runners_of(status or {}, entry.pipeline, entry.model_id)
    ]  # fmt: skip


def _now_cell(row: dict[str, Any]) -> str:
    loading = [load_text(runner) for runner in row["runners"] if runner["loading"] is not None]
    states = [runner["state"] for runner in row["runners"] if runner["state"] in {"hung", "lost"}]
    return ", ".join([row["now"], *loading, *states]) if row["now"] != "unknown" else "unknown"


def _print(rows: list[dict[str, Any]], *, agent: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if name in _RIGHT else "left")
    for row in rows:
        head = (row["model"], row["pipeline"], row["declared"], _now_cell(row), *earning_cells(row["account"]))
        if not row["parts"]:
            table.add_row(*head, "-", "-", "-", row["served_by"])
        for part in row["parts"]:
            name = "" if part["part"] == "model" else f"  {part['part']}"
            table.add_row(*(head if not name else (name, *("" for _ in head[1:]))), *_cells(part))
    console().print(table)
    if not agent:
        console(stderr=True).print("no agent answers: whether models are warm is not known")


def _cells(part: dict[str, Any]) -> tuple[str, str, str, str]:
    if part["error"] is not None:
        return "missing", "-", "-", part["error"]
    if part["damaged"]:
        files = f"damaged: {', '.join(part['damaged'])}"
    elif not part["files"]:
        files = f"missing ({part['begun'] / 1e6:.1f} MB begun)" if part["begun"] else "missing"
    elif part["present"] < part["files"]:
        files = f"{part['present']} of {part['files']}"
    else:
        files = f"{part['files']}{', verified' if part['damaged'] is not None else ''}"
    commit = part["commit"][:10] if part["commit"] else (part["revision"] or "-")
    return files, f"{part['size'] / 1e6:.1f} MB", commit, part["where"]
