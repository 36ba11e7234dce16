"""`livefleet init`: a fleet repository of one's own."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.cli.starter import Choices, StarterHost, folders_of, starter_files
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import (
    NetworkName,
    Problem,
    Role,
    SpecError,
    load_fleet,
    own_fleet_folder,
    profile_names,
    unfinished,
)

__all__ = ["command"]

_ROLES = (Role.ORCHESTRATOR.value, Role.WORKER.value)
_NETWORKS = (NetworkName.ARBITRUM_ONE.value, NetworkName.OFFCHAIN.value)
_PLACEHOLDER = "203.0.113.10"  # RFC 5737


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False, metavar="DIR")
@click.option("--name", help="The fleet's name.  [default: DIR's]")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME=ADDRESS[,ROLE]",
    help="A machine, `@local` for this one; repeatable.  [default: one placeholder]",
)
@click.option("--role", type=click.Choice(_ROLES), help="Of hosts that do not say theirs.  [default: orchestrator]")
@click.option(
    "--network",
    type=click.Choice(_NETWORKS),
    help="The chain.  [default: arbitrum-one-mainnet; offchain for workers alone]",
)
@click.option("--profile", help="What the hardware wants.  [default: nvidia-turing]")
@click.option("--orchestrator", metavar="HOST:PORT", help="What workers join.  [default: the fleet's own]")
@click.option("--root", metavar="FOLDER", help="For hosts that are this machine: keep the node in a folder.")
@click.option("--ask", is_flag=True, help="Ask on the terminal for what was not given.")
@click.option("--where", is_flag=True, help="Only print the folder of `deploys` and `inventory`, for pyinfra.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    folder: Path | None,
    *,
    name: str | None,
    hosts: tuple[str, ...],
    role: str | None,
    network: str | None,
    profile: str | None,
    orchestrator: str | None,
    root: str | None,
    ask: bool,
    where: bool,
    as_json: bool,
) -> None:
    """Write a small fleet repository into DIR: fleet.yaml with comments, .gitignore, README.md, folders for secrets.

    Nothing is asked unless `--ask` is given, nothing is contacted, and no file that exists is touched (exit code 2).
    Other roles and bigger fleets: see the examples under `livefleet init --where`/inventory/examples.
    """
    if where:
        click.echo(_fleet_folder())
        return
    if folder is None:
        raise BadInput("say which folder: `livefleet init my-fleet`")
    if ask:
        name = name or click.prompt("Name of the fleet", default=_name_of(folder), err=True)
        hosts = hosts or _asked_hosts(role)
        network = network or click.prompt("Network", default=_NETWORKS[0], type=click.Choice(_NETWORKS), err=True)
        profile = profile or click.prompt(
            "Profile of the hardware (`livefleet profiles list`)",
            default="nvidia-turing",
            type=click.Choice(profile_names()),
            show_choices=False,
            err=True,
        )
    machines = _hosts(hosts or (f"node={_PLACEHOLDER}",), Role(role or _ROLES[0]))
    choices = Choices(
        name=name or _name_of(folder),
        network=NetworkName(network or _network_of(machines)),
        hosts=machines,
        profile=profile or "nvidia-turing",
        orchestrator=orchestrator,
        root=root,
    )
    if orchestrator is not None and not choices.has_workers:
        raise BadInput("--orchestrator is what workers join, and no host is a worker: give --role worker")
    files = starter_files(choices)
    _check(files["fleet.yaml"])
    written = _write(folder, files, folders_of(choices))
    missing = unfinished(load_fleet(folder / "fleet.yaml"), os.environ)
    if as_json:
        print_json({"folder": str(folder), "written": written, "missing": [str(problem) for problem in missing]})
    else:
        _print(folder, written, missing)


def _fleet_folder() -> Path:
    found = own_fleet_folder()
    if found is None:
        raise BadInput("this installation of livefleet has no deploys (it is a host's)")
    return found


def _name_of(folder: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.absolute().name).strip("-._") or "fleet"


def _network_of(hosts: Sequence[StarterHost]) -> str:
    """Workers alone have nothing to do with a chain."""
    return _NETWORKS[0] if any(host.role is Role.ORCHESTRATOR for host in hosts) else _NETWORKS[1]


def _asked_hosts(role: str | None) -> tuple[str, ...]:
    found: list[str] = []
    while True:
        more = click.prompt("Address of a host (empty: no more)", default="", show_default=False, err=True)
        if not more:
            return tuple(found)
        name = click.prompt("Its name", default=f"node-{len(found) + 1}", err=True)
        of = role or click.prompt("Its role", default=_ROLES[0], type=click.Choice(_ROLES), err=True)
        found.append(f"{name}={more},{of}")


def _hosts(said: Sequence[str], role: Role) -> tuple[StarterHost, ...]:
    found: dict[str, StarterHost] = {}
    for text in said:
        name, _, rest = text.partition("=")
        address, _, own = rest.partition(",")
        if not name or not address or (own and own not in _ROLES):
            raise BadInput(f"--host {text}: write NAME=ADDRESS or NAME=ADDRESS,ROLE; roles: {', '.join(_ROLES)}")
        if name in found:
            raise BadInput(f"--host {text}: there is a host {name} already")
        found[name] = StarterHost(name, address, Role(own) if own else role)
    return tuple(found.values())


def _check(text: str) -> None:
    """The choices may contradict each other, or be no names: said before anything is written."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fleet.yaml"
        path.write_text(text)
        try:
            load_fleet(path)
        except SpecError as error:
            told = (f"{p.path}: {p.message}{f'; {p.hint}' if p.hint else ''}" for p in error.problems)
            raise BadInput("\n".join(["these choices make no fleet:", *told])) from error


def _write(folder: Path, files: dict[str, str], folders: Sequence[str]) -> list[str]:
    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise BadInput(f"{folder} has {', '.join(there)} already, and nothing was touched; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in folders:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        for name, text in files.items():
            with (folder / name).open("x") as file:  # never over what appeared in between
                file.write(text)
    except OSError as error:
        raise OutsideWorld(f"cannot write {error.filename or folder}: {error.strerror}") from error
    return [*files, *(f"{name}/" for name in folders)]


def _print(folder: Path, written: Sequence[str], missing: Sequence[Problem]) -> None:
    out = console()
    out.print(f"{folder}: {', '.join(written)}", markup=False)
    if missing:
        out.print("\nto be filled in before `livefleet apply`:")
        for problem in missing:
            out.print(f"  {problem}", markup=False)
    out.print(f"\nnext: cd {folder}; livefleet validate; livefleet plan", markup=False)
