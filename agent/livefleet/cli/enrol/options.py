"""What the commands of enrolment share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livefleet.cli.duration import duration
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.control.enrol.store import EnrolStore
    from livefleet.control.enrol.tokens import Template

__all__ = ["EXPIRES", "FLEET", "GROUP", "HOST", "JSON", "KEYS", "open_store", "template_of"]

FLEET = click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
KEYS = click.option(
    "--keys",
    type=click.Path(file_okay=False, path_type=Path),
    default="enrol-keys",
    show_default=True,
    help="Folder of the service's key and certificate. Never in a repository.",
)
HOST = click.option("--host", metavar="NAME", help="A host that the fleet file declares: it gets its settings.")
GROUP = click.option("--group", metavar="NAME", help="A group of the fleet file: a new host gets the group's settings.")
EXPIRES = click.option(
    "--expires", type=duration, metavar="TIME", default="24h", show_default=True, help="How long the token lets in."
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def open_store(fleet: Path) -> "EnrolStore":
    """The hosts and tokens of this fleet, in a file beside it."""
    from livefleet.control.enrol.slices import FleetSlices
    from livefleet.control.enrol.store import EnrolStore

    return EnrolStore(fleet.with_suffix(".enrolled.sqlite3"), FleetSlices(fleet, {}).declared)


def template_of(fleet: Path, host: str | None, group: str | None) -> "Template":
    """What a host is to be let in as; the fleet file has it, and enrolment can bring it. Raises BadInput."""
    from livefleet.control.enrol.slices import FleetSlices
    from livefleet.control.enrol.tokens import Template, TemplateKind

    if (host is None) == (group is None):
        raise BadInput(
            "give --host NAME for one that the fleet file declares, or --group NAME for a new one of a group"
        )
    name = host if host is not None else group
    assert name is not None
    template = Template(TemplateKind.GROUP if host is None else TemplateKind.HOST, name)
    FleetSlices(fleet, {}).check(template)
    return template
