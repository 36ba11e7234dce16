"""`livefleet chain pending`: what nodes wait for a signature for."""

import json
from pathlib import Path
from typing import Any

import click

from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode

__all__ = ["command"]


@click.command("pending")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Also write the proposals' files here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, hosts: tuple[str, ...], fleet: Path, *, out: Path | None, as_json: bool) -> None:
    """List the proposals that stand at HOSTS (all unless named), by ssh or right here.

    Exit code 1 when a host cannot be asked or tells of something that is no proposal, 2 when the spec is wrong.
    """
    from livefleet.chain import Proposal
    from livefleet.control import fleet_status
    from livefleet.spec import load_fleet

    found = fleet_status(load_fleet(fleet), hosts)
    errors = {host.host: host.error for host in found.hosts if host.report is None}
    documents: list[dict[str, Any]] = []
    for host in found.hosts:
        for raw in host.report.proposals if host.report is not None else ():
            try:
                proposal = Proposal.from_json(json.dumps(raw))
            except BadInput as error:
                errors[host.host] = f"left out, do not sign it: {error}"
                continue
            documents.append({"host": host.host, **raw})
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{proposal.id}.json").write_text(proposal.to_json())
    if as_json:
        print_json({"proposals": documents, "errors": errors})
    else:
        said = console()
        for one in documents:
            said.print(
                f"{one['host']}  {one['id']}  {one['title']}\n  {one['reason']}\n  signer {one['signer']}", markup=False
            )
        for name, why in errors.items():
            said.print(f"{name}: {why}", markup=False)
        said.print(f"{len(documents)} proposal(s)" + (f", written to {out}" if out is not None and documents else ""))
    ctx.exit(ExitCode.PARTLY_FAILED if errors else ExitCode.DONE)
