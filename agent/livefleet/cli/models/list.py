"""`livefleet models list`: declared models, their files here, and whether they are warm."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import click
from rich.table import Table

from livefleet.cli.models.declared import NODE, Declared, declared_models
from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode
from livefleet.spec import ModelEntry, NodeSpec

__all__ = ["command"]

_ANSWER_S = 5.0


@click.command("list")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@NODE
@click.option("--verify", is_flag=True, help="Read every file and compare its hash.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, models: tuple[str, ...], node: Path, *, verify: bool, as_json: bool) -> None:
    """What the node declares, which of its files are here, and whether gateways find it warm now.

    Nothing is fetched or changed. Exit code 1: files are missing or damaged; 2: wrong input.
    """
    declared = declared_models(node, models)
    advertised = _advertised(declared.spec)
    rows = [_row(declared, entry, dtype, advertised, verify=verify) for entry, dtype in declared.models]
    ok = all(part["is_here"] for row in rows for part in row["parts"])
    if as_json:
        print_json({"ok": ok, "agent": advertised is not None, "models": rows})
    else:
        _print(rows, agent=advertised is not None)
    ctx.exit(ExitCode.DONE if ok else ExitCode.PARTLY_FAILED)


def _row(
    declared: Declared, entry: ModelEntry, dtype: str, advertised: list[dict[str, Any]] | None, *, verify: bool
) -> dict[str, Any]:
    return {
        "model": entry.model_id,
        "pipeline": entry.pipeline.value,
        "declared": "warm" if entry.warm else "cold",
        "device": entry.device,
        "dtype": dtype,
        "now": _now(entry, advertised),
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


def _now(entry: ModelEntry, advertised: list[dict[str, Any]] | None) -> str:
    """`warm` or `cold` as gateways are told, `not offered`, or `unknown` where no agent answers."""
    if advertised is None:
        return "unknown"
    mine = [
        told for told in advertised
        if told.get("model_id") == entry.model_id and told.get("pipeline", entry.pipeline) == entry.pipeline
    ]  # fmt: skip
    if not mine:
        return "not offered"
    return "warm" if any(told.get("warm") for told in mine) else "cold"


def _advertised(spec: NodeSpec) -> list[dict[str, Any]] | None:
    """The models of /status; None where no agent answers."""
    host, _, port = spec.monitoring.admin_listen.rpartition(":")
    here = "127.0.0.1" if host in {"", "0.0.0.0", "*"} else "[::1]" if host == "[::]" else host  # noqa: S104 -- asked, not bound
    try:
        with urlopen(f"http://{here}:{port}/status", timeout=_ANSWER_S) as answer:
            status = json.load(answer)
    except (URLError, OSError, ValueError):
        return None
    models = status.get("models") if isinstance(status, dict) else None
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []


def _print(rows: list[dict[str, Any]], *, agent: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("MODEL", "PIPELINE", "DECLARED", "NOW", "FILES", "SIZE", "REVISION", "WHERE"):
        table.add_column(name, no_wrap=True, justify="right" if name == "SIZE" else "left")
    for row in rows:
        head = (row["model"], row["pipeline"], row["declared"], row["now"])
        if not row["parts"]:
            table.add_row(*head, "-", "-", "-", row["served_by"])
        for part in row["parts"]:
            name = "" if part["part"] == "model" else f"  {part['part']}"
            table.add_row(*(head if not name else (name, "", "", "")), *_cells(part))
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
