"""Passphrases for commands: from a file, the environment, a program or the terminal; never from an argument."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from livefleet.kernel import BadInput

__all__ = ["PassphraseSource", "passphrase_options"]


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where a passphrase comes from; with none given it is asked for."""

    file: Path | None
    env: str | None
    command: str | None

    def read(self, what: str) -> str:
        """The passphrase of `what`. Raises BadInput where there is none, or nobody to ask."""
        given = self._given(what)
        return _asked(f"Passphrase of {what}") if given is None else given

    def read_new(self, what: str) -> str:
        """A passphrase to be set; on a terminal it is typed twice."""
        given = self._given(what)
        if given is not None:
            return given
        first = _asked(f"New passphrase of {what}")
        if _asked("The same again") != first:
            raise BadInput("the two passphrases differ; nothing was written")
        return first

    def _given(self, what: str) -> str | None:
        if sum(source is not None for source in (self.file, self.env, self.command)) > 1:
            raise BadInput("give one of --password-file, --password-env, --password-command")
        if self.file is not None:
            return _some(_of_file(self.file), f"{self.file}: the passphrase file is empty")
        if self.env is not None:
            return _some(os.environ.get(self.env, ""), f"the environment variable {self.env} is not set")
        if self.command is not None:
            return _of_command(self.command, what)
        return None


def passphrase_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--password-file`, `--password-env`, `--password-command` of a command, for PassphraseSource."""
    options = (
        click.option(
            "--password-file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="File with the keystore's passphrase, readable by you alone.",
        ),
        click.option("--password-env", help="Environment variable with the passphrase."),
        click.option(
            "--password-command",
            help="Program that prints the passphrase, with its arguments, such as `pass show livepeer`; no shell.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _of_file(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        text = error.strerror if isinstance(error, OSError) else "is no text"
        raise BadInput(f"{path}: cannot read the passphrase: {text}") from error


def _of_command(command: str, what: str) -> str:
    from livefleet.spec.secret_command import output_of

    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--password-command: {error}") from error
    if not arguments:
        raise BadInput("--password-command: no program is named")
    return output_of(arguments, what=f"passphrase of {what}", folder=Path.cwd(), environ=os.environ).decode().strip()


def _asked(text: str) -> str:
    if not sys.stdin.isatty():
        raise BadInput(
            "without a terminal nobody can type the passphrase: give --password-file, --password-env or "
            "--password-command"
        )
    answer: str = click.prompt(text, hide_input=True, err=True)
    return answer


def _some(text: str, otherwise: str) -> str:
    if not text:
        raise BadInput(otherwise)
    return text
