"""`livefleet import node`: what starts go-livepeer, as a fleet file."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from livefleet.cli.output import print_json
from livefleet.control.importer import (
    MAX_BYTES,
    Given,
    Imported,
    Outcome,
    SourceKind,
    Wishes,
    decode,
    import_nodes,
    read_source,
)
from livefleet.kernel import BadInput, ExitCode, OutsideWorld

__all__ = ["command"]

_STDIN = "-"
_KINDS = [kind.value for kind in SourceKind]
_TITLES = {
    Outcome.DANGEROUS: "dangerous",
    Outcome.UNKNOWN: "unknown to go-livepeer",
    Outcome.DEAD: "dead: go-livepeer does not take it",
    Outcome.DEPRECATED: "deprecated in go-livepeer",
    Outcome.NO_COUNTERPART: "without a counterpart",
    Outcome.OTHERWISE: "taken otherwise",
    Outcome.OVERRIDDEN: "overridden",
    Outcome.TAKEN: "taken",
    Outcome.ADVICE: "advice",
    Outcome.TO_DO: "to do",
}


@click.command("node")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    help="What the first SOURCE is, where its content does not tell; further ones are always told by content.",
)
@click.option("--name", default="imported", show_default=True, help="Name of the fleet.")
@click.option(
    "--address",
    "addresses",
    metavar="[HOST=]ADDRESS",
    multiple=True,
    help="How ssh reaches a host, or every host. Again for each.",
)
@click.option("--split", is_flag=True, help="Make each process a host, also where several are on one machine.")
@click.option(
    "--secrets",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each secret that stood in plain text into a file of its own (mode 0600) in this folder.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the fleet file here, not to stdout."
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Fleet file and report as one JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    *,
    kind: str | None,
    name: str,
    addresses: tuple[str, ...],
    split: bool,
    secrets: Path | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a fleet file from what starts go-livepeer today, and report on every flag of it.

    SOURCE is a script or command line (`docker run` too), a file of LP_ variables, a -config file, a systemd unit, a
    docker compose file, the output of `docker inspect`, or Kubernetes manifests; `-` reads stdin. Files that a source
    names (aiModels, pricePerGateway, env files, ...) are looked for beside it, or given as further SOURCEs.

    The report goes to stderr: what was taken and how, what has no counterpart, what is unknown, dead or dangerous, each
    with file:line:column. Secrets are never shown: the fleet file names where they are.

    Exit code 2 where nothing can be read, 1 where something is left to do before the file can be applied.
    """
    wishes = Wishes(
        name,
        _addresses(addresses),
        split=split,
        secrets=str(_folder(secrets, output)),
        folder=output.parent if output is not None else Path(),
    )
    imported = import_nodes(_given(sources, kind), wishes)
    for host in wishes.addresses:
        if host and host not in imported.hosts:
            raise BadInput(f"--address {host}=...: no host of that name comes of it; {', '.join(imported.hosts)} do")
    _refuse_overwriting(output, secrets, imported.secrets, force=force)
    if secrets is not None:
        _write_secrets(secrets, imported.secrets)
    if output is not None and imported.fleet:
        _write(output, imported.fleet, 0o644)
    if as_json:
        print_json(_document(imported, wishes))
    else:
        if output is None:
            click.echo(imported.fleet, nl=False)
        _print_report(imported, wrote_secrets=secrets is not None)
    left = imported.report.of(Outcome.TO_DO)
    ctx.exit(ExitCode.PARTLY_FAILED if left or not imported.fleet else ExitCode.DONE)


def _given(sources: Sequence[str], kind: str | None) -> list[Given]:
    if len(set(sources)) < len(sources):
        raise BadInput("a SOURCE is named twice")
    given = []
    for index, source in enumerate(sources):
        wanted = SourceKind(kind) if kind is not None and index == 0 else None
        if source == _STDIN:
            text = decode(sys.stdin.buffer.read(MAX_BYTES + 1), "stdin")
            given.append(Given("stdin", text, Path(), wanted))
        else:
            path = Path(source)
            given.append(Given(source, read_source(path, source), path.parent, wanted))
    return given


def _addresses(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        host, _, address = text.rpartition("=")
        if not address or any(char.isspace() for char in address):
            raise BadInput(f"--address {text!r}: write HOST=ADDRESS, or an ADDRESS for every host")
        found[host] = address
    return found


def _folder(secrets: Path | None, output: Path | None) -> Path:
    """The folder of secrets as the fleet file names it: from its own folder."""
    if secrets is None:
        return Path("secrets")
    base = (output.parent if output is not None else Path()).absolute()
    return Path(os.path.relpath(secrets.absolute(), base))


def _refuse_overwriting(output: Path | None, folder: Path | None, secrets: Mapping[str, str], *, force: bool) -> None:
    wanted = [*([output] if output is not None else []), *([folder / name for name in secrets] if folder else [])]
    there = [str(path) for path in wanted if path.exists()]
    if there and not force:
        raise BadInput(f"{', '.join(there)}: is there already; nothing is written. `--force` overwrites")


def _write_secrets(folder: Path, secrets: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutsideWorld(f"{folder}: cannot be made: {error.strerror}") from error
    for name, text in secrets.items():
        _write(folder / name, text, 0o600)


def _write(path: Path, text: str, mode: int) -> None:
    try:
        path.unlink(missing_ok=True)  # an older file's wider mode must not stay
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutsideWorld(f"{path}: cannot be written: {error.strerror}") from error


def _document(imported: Imported, wishes: Wishes) -> dict[str, Any]:
    return {
        "fleet": imported.fleet,
        "hosts": list(imported.hosts),
        "sources": dict(imported.kinds),
        "secrets": {name: f"{wishes.secrets}/{name}" for name in imported.secrets},
        "counts": imported.report.counts,
        "findings": [
            asdict(finding.spot)
            | {"outcome": finding.outcome, "subject": finding.subject, "text": finding.text, "process": finding.process}
            for finding in imported.report.of(*Outcome)
        ],
    }


def _print_report(imported: Imported, *, wrote_secrets: bool) -> None:
    for outcome, title in _TITLES.items():
        findings = imported.report.of(outcome)
        if not findings:
            continue
        click.echo(f"{title} ({len(findings)})", err=True)
        for finding in findings:
            click.echo(f"  {finding}", err=True)
    if imported.secrets and not wrote_secrets:
        count = len(imported.secrets)
        noun = "secret stands" if count == 1 else "secrets stand"
        click.echo(f"{count} {noun} in plain text and in no file yet; `--secrets FOLDER` writes them", err=True)
    if not imported.fleet:
        click.echo("no host: nothing here is part of a fleet", err=True)
