"""`livefleet agent first-boot`: a machine with a preconfigured image becomes one of the fleet."""

import json
import os
import pwd
import select
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from livefleet import __version__
from livefleet.kernel import BadInput, ExitCode, SystemClock

if TYPE_CHECKING:
    from livefleet.enrol import MachineFacts, Owner
    from livefleet.spec.enrol import FirstBoot, Seed

__all__ = ["first_boot"]

_LONGEST_LINE: Final = 4096
_AGENT_USER: Final = "livefleet"
_QUESTIONS: Final = {"payout": "Address that the pool pays (0x...)", "nickname": "Nickname of this worker"}


@click.command("first-boot")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="first-boot.yaml.  [default: ROOT/etc/livefleet/first-boot.yaml]",
)
@click.option(
    "--root", type=click.Path(file_okay=False, path_type=Path), default="/", show_default=True, help="The host's tree."
)
@click.pass_context
def first_boot(ctx: click.Context, config: Path | None, *, root: Path) -> None:
    """Make this host's identity, enrol it where first-boot.yaml says, take its settings, test it, start its agent.

    It asks no more than it must: a token comes by a credential, SMBIOS, or livefleet.yaml on a stick; without one it
    shows a code and waits until the operator approves it. Run again, it does nothing, or goes on where it was cut off.
    Exit code 1: the operator has rejected this host; 2: first-boot.yaml is wrong; 3: not enrolled in time, or the agent
    does not start.
    """
    from livefleet.enrol import (
        EnrolClient,
        EnrolError,
        EnrolPlaces,
        FirstBootRun,
        MountedVolumes,
        Screen,
        SeedSources,
        SystemdAgent,
        UnmanagedAgent,
    )
    from livefleet.kernel.log import configure
    from livefleet.spec import NodePaths
    from livefleet.spec.enrol import load_first_boot

    root = root.absolute()
    places = EnrolPlaces(NodePaths(root))
    if places.done.exists():
        click.echo("livefleet: first boot is over on this host")
        return
    boot = load_first_boot(config or places.paths.config / "first-boot.yaml")
    configure("WARNING")
    is_this_machine = root == Path("/")
    run = FirstBootRun(
        boot,
        places,
        service_of=lambda identity: EnrolClient(boot.url, boot.trust, identity),
        seeds=SeedSources(boot.seed, root, MountedVolumes(), os.environ),
        machine=_ThisMachine(boot),
        agent=SystemdAgent(_agent_user(), root) if is_this_machine else UnmanagedAgent(),
        questions=_Terminal(sys.stdin),
        screen=Screen(_say, boot.url),
        release=__version__,
        owner=_owner() if is_this_machine else None,
    )
    try:
        run.run()
    except EnrolError as error:
        _say(f"livefleet: {error}")
        ctx.exit(ExitCode.PARTLY_FAILED)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


def _agent_user() -> str | None:
    return _AGENT_USER if _owner() is not None else None


def _owner() -> "Owner | None":
    """The agent's user, where this process may give files away."""
    from livefleet.enrol import Owner

    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(_AGENT_USER)
    except KeyError:
        return None
    return Owner(user.pw_uid, user.pw_gid)


@dataclass(frozen=True, slots=True)
class _ThisMachine:
    boot: "FirstBoot"

    def facts(self) -> "MachineFacts":
        from livefleet.enrol import MachineFacts
        from livefleet.hardware import read_snapshot
        from livefleet.spec import card_problems
        from livefleet.spec.enrolment import SeenGpu

        snapshot = read_snapshot(SystemClock().now())
        gpus = tuple(
            SeenGpu(
                name=gpu.name or "unknown",
                uuid=gpu.uuid,
                memory_mib=None if gpu.memory_total is None else gpu.memory_total >> 20,
            )
            for gpu in snapshot.gpus
        )
        problems = list(card_problems(self.boot.cards, [gpu.name for gpu in gpus])) if self.boot.cards else []
        if problems and snapshot.fault is not None:
            problems.append(f"NVML says: {snapshot.fault.text}")
        return MachineFacts(gpus, os.cpu_count() or 0, _memory_mib(), "; ".join(problems))

    def address(self) -> str | None:
        """The one that packets to the service leave from; none is sent."""
        parts = urlsplit(self.boot.url)
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, target = found[0]
            with socket.socket(family, kind, protocol) as sock:
                sock.connect(target)
                return str(sock.getsockname()[0])
        except OSError:
            return None


def _memory_mib() -> int:
    return (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) >> 20


@dataclass(frozen=True, slots=True)
class _Terminal:
    """A person at the terminal that is our standard input, if it is one."""

    source: IO[str]
    patience_s: float = 60.0  # before it is looked whether a stick has come meanwhile

    def ask(self, known: "Seed") -> "Seed | None":
        """See Questions."""
        if not self.source.isatty():
            return None
        answers = known
        with Path(os.ttyname(self.source.fileno())).open("w") as screen:
            for field, question in _QUESTIONS.items():
                if getattr(known, field) is None:
                    answers = answers.over(self._answer(screen, question, field))
                if getattr(answers, field) is None:
                    break
        return answers

    def _answer(self, screen: IO[str], question: str, field: str) -> "Seed":
        """Asked until it is right; nothing where nobody answers."""
        from livefleet.spec.enrol import Seed, parse_seed

        while True:
            screen.write(f"{question}: ")
            screen.flush()
            text = self._line()
            if text is None:
                return Seed()
            try:
                return parse_seed(f"{field}: {json.dumps(text.strip())}", "answer")
            except BadInput as error:
                screen.write(f"  {str(error).partition(': ')[2]}\n")

    def _line(self) -> str | None:
        """A line of the terminal, which keeps what is typed until it is whole; None: not within a minute, or closed."""
        handle = self.source.fileno()
        ready, _, _ = select.select([handle], [], [], self.patience_s)
        if not ready:
            return None
        try:
            return os.read(handle, _LONGEST_LINE).decode(errors="replace") or None
        except OSError:  # a terminal that was hung up
            return None
