"""`livefleet image show`: what is in an image."""

from pathlib import Path

import click
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.control.image import image_of, manifest_of
from livefleet.spec import ImageManifest

__all__ = ["command"]


@click.command("show")
@click.argument("place", type=click.Path(path_type=Path), metavar="DIR|FILE")
@click.option("--packages", is_flag=True, help="Every package and wheel too.")
@click.option("--json", "as_json", is_flag=True, help="The manifest on stdout.")
def command(place: Path, *, packages: bool, as_json: bool) -> None:
    """Say what the image FILE, or the only one in DIR, is made of: by the manifest beside it, else the one in it."""
    image = image_of(place)
    manifest = manifest_of(image)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _rows(manifest):
        table.add_row(name, value)
    console().print(table)
    if packages:
        for package in manifest.packages:
            console().print(f"  {package.name} {package.version} {package.sha256 or ''}", markup=False)
        for wheel in manifest.release.wheels:
            console().print(f"  {wheel.file} {wheel.sha256}", markup=False)


def _rows(manifest: ImageManifest) -> list[tuple[str, str]]:
    driver, file, disk = manifest.driver, manifest.file, manifest.disk
    rows = [
        ("image", "" if file is None else f"{file.name} ({file.format}, {file.bytes} bytes)"),
        ("sha256", "" if file is None else file.sha256),
        ("tree", manifest.tree_sha256),
        ("profile", f"{manifest.profile} ({manifest.profile_sha256[:12]})"),
        ("fleet", manifest.fleet or ""),
        ("base", f"{manifest.suite} {manifest.architecture}, {len(manifest.packages)} packages"),
        ("kernel", ", ".join(manifest.kernels) or "none"),
        ("command line", "" if disk is None else disk.command_line),
        (
            "driver",
            "none" if driver is None else f"{driver.version} ({driver.flavour}), for {', '.join(driver.families)}",
        ),
        ("release", f"{manifest.release.id}, Python {manifest.release.python}, {', '.join(manifest.release.extras)}"),
        *(("source", f"{source.line} of {source.date or 'an unknown date'}") for source in manifest.sources),
    ]
    return [(name, value) for name, value in rows if value]
