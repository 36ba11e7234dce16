"""`livefleet import ai-models`: go-livepeer's aiModels as model entries."""

import io
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

from livefleet.cli.output import print_json
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec.ai_models_entries import ImportedModels, import_models
from livefleet.spec.ai_models_file import parse_ai_models, parse_inline_ai_models
from livefleet.spec.pricing import parse_price

__all__ = ["command"]


@click.command("ai-models")
@click.argument("models", metavar="FILE|LIST")
@click.option("--base-price", metavar="PRICE", help="go-livepeer's -pricePerUnit, for models that have no price.")
@click.option(
    "--secrets",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each runner's token into a file of its own in this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(models: str, *, base_price: str | None, secrets: Path | None, as_json: bool) -> None:
    """Print the models of FILE, or of LIST (`pipeline:model_id:warm,...`), as `models:` of a fleet file.

    Everything that go-livepeer would refuse is told in its words with file:line:column, and exit code 2. What is not
    taken over is told on stderr. Tokens are secrets: the entries name them, `--secrets` writes them.
    """
    base = None if base_price is None else _price(base_price)
    path = Path(models)
    if path.is_file():
        imported = import_models(parse_ai_models(_text(path), models), models, base_price=base)
    elif ":" in models and not models.endswith(".json"):
        imported = import_models(parse_inline_ai_models(models), "-aiModels", base_price=base)
    else:
        raise BadInput(f"{models}: no such file; a list is written pipeline:model_id:warm,...")
    folder = secrets or Path("secrets")
    if secrets is not None:
        _write_tokens(secrets, imported.tokens)
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    if imported.tokens and secrets is None:
        click.echo(f"note: {len(imported.tokens)} tokens are not written; `--secrets FOLDER` does", err=True)
    if as_json:
        print_json(_document(imported, folder) | {"notes": [asdict(note) for note in imported.notes]})
    else:
        click.echo(_yaml(_document(imported, folder)), nl=False)


def _document(imported: ImportedModels, folder: Path) -> dict[str, Any]:
    secrets = {"secrets": {name: {"file": str(folder / name)} for name in imported.tokens}} if imported.tokens else {}
    entries = [
        entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True) | {"warm": entry.warm}
        for entry in imported.entries
    ]
    return {**secrets, "models": entries}


def _yaml(document: dict[str, Any]) -> str:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared as None
    writer.width = 120
    text = io.StringIO()
    writer.dump(document, text)
    return text.getvalue()


def _write_tokens(folder: Path, tokens: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, token in tokens.items():
            with open(folder / name, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(token)
    except OSError as error:
        raise OutsideWorld(f"{folder}: cannot write tokens: {error.strerror}") from error


def _price(text: str) -> Any:
    try:
        return parse_price(text)
    except ValueError as error:
        raise BadInput(f"--base-price: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(f"{path}: cannot be read: {why}") from error
