"""`livefleet image verify`: prove that an image is what its manifest says."""

from dataclasses import asdict
from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.control.image import image_of, verify_image
from livefleet.kernel import ExitCode

__all__ = ["command"]


@click.command("verify")
@click.argument("place", type=click.Path(path_type=Path), metavar="DIR|FILE")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="DIR|FILE",
    help="Another image of the same inputs, which must be the same.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, place: Path, against: Path | None, *, as_json: bool) -> None:
    """Compare the image FILE, or the only one in DIR, with the manifest beside it and the one in it.

    Exit code 1 where something is not as it is told, 2 where it is no image.
    """
    image = image_of(place)
    findings = verify_image(image, None if against is None else image_of(against))
    if as_json:
        print_json({"image": str(image), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            console().print(f"{'ok   ' if finding.fine else 'WRONG'} {finding.what}: {finding.told}", markup=False)
    if not all(finding.fine for finding in findings):
        ctx.exit(ExitCode.PARTLY_FAILED)
