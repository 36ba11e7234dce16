"""`livefleet export dashboards`: what a monitor's Grafana gets, for a Grafana of one's own."""

from pathlib import Path

import click

from livefleet.cli.output import print_json
from livefleet.kernel import BadInput
from livefleet.monitoring.dashboards import dashboards

__all__ = ["command"]


@click.command("dashboards")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--runbook-url", help="Where RUNBOOK.md can be read: panels then link the sections of their alerts.")
@click.option("--json", "as_json", is_flag=True, help="What was written, as one JSON document.")
def command(folder: Path, *, runbook_url: str | None, as_json: bool) -> None:
    """Write the dashboards into FOLDER, one JSON file each, to be imported or provisioned.

    They ask for the labels `job`, `fleet`, `node` and `role` that a monitor of the fleet puts on every series. Files
    that are as they should be are left alone; others of these names are replaced. Nothing is contacted.
    """
    if runbook_url is not None and not runbook_url.startswith(("http://", "https://")):
        raise BadInput(f"--runbook-url: {runbook_url!r} is no web address; it begins with https://")
    drawn = dashboards(runbook_url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        changed = {name: _write(folder / name, text) for name, text in sorted(drawn.items())}
    except OSError as error:
        raise BadInput(
            f"the dashboards cannot be written to {folder}: {error.strerror}; name another folder"
        ) from error
    if as_json:
        print_json({"folder": str(folder), "files": [{"name": name, "changed": new} for name, new in changed.items()]})
        return
    for name, is_new in changed.items():
        click.echo(f"{folder / name}{'' if is_new else ' (unchanged)'}")


def _write(path: Path, text: str) -> bool:
    """Whether it was not there as it should be."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    path.write_text(text, encoding="utf-8")
    return True
