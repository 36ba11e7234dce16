"""`livefleet render HOST`: the node's own slice of the fleet, and where each value came from."""

from pathlib import Path
from typing import Any

import click

from livefleet.cli.output import console, print_json
from livefleet.spec import Fleet, Origin, load_fleet, node_digest, to_yaml

__all__ = ["command"]


@click.command("render")
@click.argument("host")
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--explain", is_flag=True, help="Say of each value which layer gave it, and where.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(host: str, fleet: Path, *, explain: bool, as_json: bool) -> None:
    """Print what HOST will be told: its node.yaml, exactly as apply writes it. Values of secrets are never in it."""
    loaded = load_fleet(fleet)
    node = loaded.node(host)
    if as_json:
        document: dict[str, Any] = {
            "digest": node_digest(node),
            "node": node.model_dump(mode="json", exclude_none=True),
            "sent": [item.host_path for item in loaded.secrets_to_send(host)],
        }
        if explain:
            document["origins"] = [
                {"path": ".".join(map(str, path)), "value": value, **_document(origin)}
                for path, value, origin in _leaves(loaded, host)
            ]
        print_json(document)
    elif explain:
        _print(loaded, host)
    else:
        click.echo(to_yaml(node), nl=False)


def _leaves(fleet: Fleet, host: str) -> list[tuple[tuple[str | int, ...], Any, Origin | None]]:
    data = fleet.node(host).model_dump(mode="json", exclude_none=True)
    return list(fleet.origins(host).leaves(data))


def _print(fleet: Fleet, host: str) -> None:
    rows = [
        (".".join(map(str, path)), _shown(value), str(origin) if origin else "built-in default")
        for path, value, origin in _leaves(fleet, host)
    ]
    settings = max(len(setting) for setting, _, _ in rows)
    values = min(max(len(value) for _, value, _ in rows), 48)
    out = console()
    for setting, value, origin in rows:
        out.print(f"{setting:<{settings}}  {value:<{values}}  {origin}", markup=False)
    for item in fleet.secrets_to_send(host):
        source = f"${item.ref.env}" if item.ref.env is not None else item.ref.file
        out.print(f"sent to the host: {item.host_path} from {source}", markup=False)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _document(origin: Origin | None) -> dict[str, Any]:
    if origin is None:
        return {"layer": "default"}
    return {"layer": origin.layer, "file": origin.file, "line": origin.line, "column": origin.column}
