"""`livefleet chain propose`: what only the orchestrator's own key may sign, as files for it."""

import asyncio
from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput

__all__ = ["command"]


@click.command("propose")
@click.argument("fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml")
@click.option("--host", metavar="NAME", help="Only this host.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the files.")
@click.option("--all", "everything", is_flag=True, help="Also what the node would send by itself.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(fleet: Path, *, host: str | None, out: Path, everything: bool, as_json: bool) -> None:
    """Write a proposal file for each thing of FLEET that no node may sign, for `livefleet chain sign`. Nothing is sent.

    Exit code 2 for a wrong spec, 3 when the chain says no.
    """
    from livefleet.cli.chain.declared import hosts_with_declarations, plan_host, proposal_of

    loaded, names = hosts_with_declarations(fleet, host)
    written = []
    left = 0
    for plan in [asyncio.run(plan_host(name, loaded.node(name))) for name in names]:
        for duty in plan.duties:
            if not duty.plan.changes:
                continue
            if plan.node_signs and not everything:
                left += 1
                continue
            proposal = proposal_of(plan, duty)
            path = out / f"{proposal.id}.json"
            _write(path, proposal.to_json())
            written.append((plan.host, path, proposal))
    if as_json:
        documents = [
            {"host": name, "id": proposal.id, "file": str(path), "signer": proposal.signer, "title": proposal.title}
            for name, path, proposal in written
        ]
        print_json({"proposals": documents, "left_to_nodes": left})
        return
    said = console()
    for name, path, proposal in written:
        said.print(f"{path}\n  {name}: {proposal.title}\n  to be signed by {proposal.signer}", markup=False)
    said.print(
        f"{len(written)} proposal(s) written" + (f"; {left} left to nodes, which sign by themselves" * bool(left))
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise BadInput(f"{path}: cannot write the proposal: {error.strerror}") from error
