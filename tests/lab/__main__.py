"""Test hosts by hand: `python -m tests.lab up orch worker`, `ssh orch`, `down`."""

import os
import signal
import sys
import time

import click

from tests.lab import state
from tests.lab.errors import LabError
from tests.lab.host import USERS, Host
from tests.lab.lab import Lab
from tests.lab.processes import is_container_init, marked
from tests.lab.shell import run

BY_HAND = "hand"
lab_option = click.option(
    "--lab", default=BY_HAND, show_default=True, help="Which lab; several can stand side by side."
)


class Commands(click.Group):
    """A group whose commands end with the lab's own words instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LabError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Real ssh hosts with systemd, apt and reboot, on this machine and cut off from every other network.

    Hosts stay up until `down`. They are reached from the lab's controller namespace: by `ssh` and `run` here.
    """


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@lab_option
def up(names: tuple[str, ...], lab: str) -> None:
    """Start hosts, making those that do not exist yet."""
    started = time.monotonic()
    if lab in {written.lab for written in state.labs()}:
        found = Lab.load(lab, click.echo)
        for name in names:
            if name not in found.hosts:
                found.add(name)
            elif not found.hosts[name].is_running():
                found.start(name)
                click.echo(f"{name} at {found.hosts[name].address}: started")
            else:
                click.echo(f"{name} at {found.hosts[name].address}: up already")
    else:
        found = Lab.create(*names, lab=lab, keep=True, tell=click.echo)
    click.echo(f"ready after {time.monotonic() - started:.1f} s; log in: python -m tests.lab ssh {names[0]}")
    click.echo(f"key {found.key}, known hosts {found.known_hosts}, users {', '.join(USERS)}")


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@lab_option
def down(names: tuple[str, ...], lab: str) -> None:
    """Remove hosts, or without names the whole lab, files included."""
    found = Lab.load(lab, click.echo)
    if names:
        for name in names:
            host_of(found, name)
            found.drop(name)
            click.echo(f"{name}: removed")
    else:
        found.down()
        click.echo(f"lab {lab}: removed")


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def status(names: tuple[str, ...]) -> None:
    """Show every lab's hosts, or only those named."""
    written = state.labs()
    if not written:
        click.echo("no lab is up")
    for one in written:
        owner = f"owned by process {one.owner.split(':')[0]}" if one.owner else "kept"
        click.echo(f"lab {one.lab}: {owner}{', abandoned' if one.is_abandoned() else ''}")
        for name, host in Lab(one).hosts.items():
            if not names or name in names:
                click.echo(f"  {name:20} {host.address:12} {condition(host)}")


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--user", default="root", show_default=True, type=click.Choice(USERS))
@lab_option
def ssh(name: str, command: tuple[str, ...], user: str, lab: str) -> None:
    """Log in to a host, or run a command there."""
    argv = host_of(Lab.load(lab), name).login(user).command(*command)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


@cli.command(name="run", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@lab_option
def run_command(command: tuple[str, ...], lab: str) -> None:
    """Run a program of this machine where the hosts can be reached (`run -- pyinfra ...`)."""
    argv = Lab.load(lab).controller_command(command)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@lab_option
def reset(names: tuple[str, ...], lab: str) -> None:
    """Give hosts back as they were when made, same address and keys."""
    found = Lab.load(lab)
    for name in names:
        host_of(found, name)
        found.reset(name)
        click.echo(f"{name}: fresh")


@cli.command()
def clean() -> None:
    """Remove what dead labs left behind; labs that are kept or in use stay."""
    with state.locked():
        Lab.sweep(click.echo)
        known = {written.lab for written in state.labs()}
        for process, lab, host in marked():
            if lab not in known and is_container_init(process.pid):
                click.echo(f"killing {lab}/{host} (pid {process.pid}), which no lab on record accounts for")
                process.send(signal.SIGKILL)
                process.wait_gone(10)
    click.echo("clean")


def host_of(lab: Lab, name: str) -> Host:
    """The host of this name, or a clear word about which there are."""
    if name not in lab.hosts:
        raise LabError(f"lab {lab.name!r} has no host {name!r}; it has: {', '.join(lab.hosts) or 'none'}")
    return lab.hosts[name]


def condition(host: Host) -> str:
    """What systemd says, or that nothing does."""
    if not host.is_running():
        return "down"
    done = run(host.login().command("systemctl is-system-running"), check=False, timeout_s=20)
    return done.stdout.strip() or f"no answer: {done.stderr.strip()}"


if __name__ == "__main__":
    cli(prog_name="python -m tests.lab")
