"""`livefleet bundle publish`: sign the fleet's slices as the next version."""

from datetime import UTC, timedelta
from pathlib import Path

import click

from livefleet.cli.bundle.options import FOLDER, KEYS
from livefleet.cli.output import console, print_json

__all__ = ["command"]


@click.command("publish")
@FOLDER
@KEYS
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option(
    "--valid-days",
    type=click.IntRange(1, 365),
    default=30,
    show_default=True,
    help="How long hosts believe it. Publish again before: an attacker can hold news back no longer than this unseen.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(folder: Path, keys: Path, fleet: Path, valid_days: int, *, as_json: bool) -> None:
    """Write and sign the slices of all hosts that have `pull:` into FOLDER.

    Each slice is byte for byte what `livefleet apply` would write; there are no secrets in it. Copy FOLDER to where the
    hosts look, `metadata/timestamp.json` last: a host sees the whole of the old version or of the new one. Publishing
    an unchanged fleet renews the signatures.
    """
    from livefleet.control.bundle import Bundle, slices_of
    from livefleet.spec import load_fleet

    done = Bundle(folder, keys).publish(slices_of(load_fleet(fleet)), timedelta(days=valid_days))
    until = done.expires.astimezone(UTC)
    if as_json:
        names = ("new", "changed", "gone", "unchanged")
        print_json(
            {"version": done.version, "expires": until.isoformat()}
            | {name: list(getattr(done, name)) for name in names}
        )
        return
    words = [f"{name} {word}" for word in ("new", "changed", "gone") for name in getattr(done, word)]
    for line in words[:50]:
        console().print(f"  {line}", markup=False)
    if len(words) > 50:
        console().print(f"  and {len(words) - 50} more", markup=False)
    console().print(
        f"version {done.version}: {len(done.new) + len(done.changed)} to take over, {len(done.unchanged)} unchanged,"
        f" {len(done.gone)} gone; believed until {until:%Y-%m-%d %H:%M} UTC",
        markup=False,
    )
