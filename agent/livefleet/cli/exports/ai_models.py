"""`livefleet export ai-models`: a host's models as go-livepeer's file."""

import os
from pathlib import Path

import click

from livefleet.cli.output import print_json
from livefleet.spec import Fleet, load_fleet
from livefleet.spec.ai_models_entries import export_models
from livefleet.spec.ai_models_file import write_ai_models

__all__ = ["command"]


@click.command("ai-models")
@click.argument("host")
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--tokens", is_flag=True, help="Write the runners' tokens into it: the file is then a secret.")
@click.option("--json", "as_json", is_flag=True, help="The file's text and the notes as one JSON document.")
def command(host: str, fleet: Path, *, tokens: bool, as_json: bool) -> None:
    """Print the models of HOST as the JSON file that go-livepeer's -aiModels names.

    Prices are exact. What the file cannot say (sources, devices, ...) is told on stderr. Nothing is contacted.
    """
    loaded = load_fleet(fleet)
    node = loaded.node(host)
    known = _tokens(loaded, host, {model.token for model in node.models if model.token}) if tokens else {}
    exported = export_models(node.models, known)
    text = write_ai_models(exported.models)
    if as_json:
        print_json({"file": text, "notes": list(exported.notes)})
        return
    for note in exported.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(text, nl=False)


def _tokens(fleet: Fleet, host: str, names: set[str]) -> dict[str, str]:
    """Their texts, where they are on this machine. Raises BadInput."""
    sent = {item.name.removeprefix("secrets."): item for item in fleet.secrets_to_send(host)}
    return {name: sent[name].read(os.environ).decode().strip() for name in sorted(names) if name in sent}
