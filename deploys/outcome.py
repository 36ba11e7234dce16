"""What a step decides for one host: commands, notes for people, or a refusal. Pure data; no pyinfra here."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from livefleet.spec import Effect

__all__ = ["Command", "Outcome", "Reboot", "Shell", "Upload", "refuse", "sh"]


@dataclass(frozen=True, slots=True)
class Shell:
    """Shell text run on the host. `stdin` never shows in output, arguments or logs: contents of files go that way."""

    text: str
    stdin: tuple[str, ...] = ()  # lines without their newline
    as_login_user: bool = False  # without sudo, where the point is to say that sudo does not work
    timeout_s: int = 900

    def __repr__(self) -> str:
        """The text alone: stdin may carry secrets."""
        return f"Shell({self.text!r}, stdin of {len(self.stdin)} lines)"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of the operator's machine put on the host, for contents that are no secret."""

    source: Path
    dest: str


@dataclass(frozen=True, slots=True)
class Reboot:
    """The host rebooted and waited for, where the file `when` is there; nothing where it is not."""

    when: str
    within_s: float


Command = Shell | Upload | Reboot


@dataclass(frozen=True, slots=True)
class Outcome:
    """One step's decision for one host."""

    commands: tuple[Command, ...] = ()
    notes: tuple[str, ...] = ()  # what would change and why, or why nothing does
    refusal: str | None = None  # why this host goes no further, and what to do
    diff: tuple[str, ...] = ()  # unified diff lines for --diff; never of a secret
    agent: str = ""  # what the agent goes through: start, restart or reload
    effects: tuple[Effect, ...] = ()  # settings of node.yaml that change, and what each costs
    alone: bool = False  # hosts do this one after the other, because each is out of service meanwhile


def refuse(reason: str) -> Outcome:
    """Stop this host, saying why; the others go on."""
    return Outcome(
        commands=(Shell(f"printf '%s\\n' {shlex.quote(reason)} >&2; exit 1", as_login_user=True),), refusal=reason
    )


def sh(lines: Sequence[str], *, stdin: Sequence[str] = (), timeout_s: int = 900) -> Shell:
    """Several shell lines as one round trip that ends at the first failure."""
    return Shell("\n".join(["set -eu", *lines]), stdin=tuple(stdin), timeout_s=timeout_s)
