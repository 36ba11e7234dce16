"""Secrets that a program prints: `pass`, `op`, `sops`, `age` and the like, run on the operator's machine.

Neither arguments nor outputs are ever repeated in a message: both may hold a secret.
"""

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from livefleet.kernel import BadInput

__all__ = ["TERMINAL", "CommandOutputs", "output_of", "own_terminal"]

_TIMEOUT_S: Final = 120.0  # somebody may have to type or to touch something
TERMINAL: Final = "LIVEFLEET_TERMINAL"
"""Variable with the device of the operator's terminal, for a process that has left it."""


class CommandOutputs:
    """What programs have printed in this run, or why they did not: each command runs once.

    However many hosts and secrets ask, also at the same time: a key that wants a touch is touched once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], bytes | str] = {}
        self._one_at_a_time = threading.Lock()  # two programs cannot ask on one terminal

    def of(self, command: Sequence[str], *, what: str, folder: Path, environ: Mapping[str, str]) -> bytes:
        """See `output_of`, which a first asker gets it from."""
        key = (tuple(command), folder)
        with self._one_at_a_time:
            if key not in self._known:
                try:
                    self._known[key] = _output(command, folder, environ, _TIMEOUT_S)
                except _NoSecret as error:
                    self._known[key] = str(error)
            found = self._known[key]
        if isinstance(found, str):
            raise BadInput(f"{what}: {found}")
        return found

    def __repr__(self) -> str:
        """How many; never which."""
        return f"CommandOutputs({len(self._known)} commands)"


def output_of(
    command: Sequence[str],
    *,
    what: str,
    folder: Path,
    environ: Mapping[str, str],
    timeout_s: float = _TIMEOUT_S,
) -> bytes:
    """What a command prints, less the last line's end.

    It may ask on the terminal, where there is one, and what it says there (stderr) is shown there.

    Args:
        command: Program and arguments; no shell reads them.
        what: Whose secret it is, for messages.
        folder: Where it runs.
        environ: What it finds in its environment.
        timeout_s: How long it may take.

    Raises:
        BadInput: there is no such program, it failed, took too long or printed nothing.
    """
    try:
        return _output(command, folder, environ, timeout_s)
    except _NoSecret as error:
        raise BadInput(f"{what}: {error}") from error.__cause__


class _NoSecret(Exception):
    """Why, without the secret's name."""


def _output(command: Sequence[str], folder: Path, environ: Mapping[str, str], timeout_s: float) -> bytes:
    program = command[0]
    with _terminal(environ) as (terminal, is_there):
        try:
            done = subprocess.run(
                list(command),
                cwd=folder,
                env=dict(environ),
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=terminal,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # The cause has the output so far.
            raise _NoSecret(f"`{program}` printed no secret within {timeout_s:.0f} s; {_hint(is_there)}") from None
        except OSError as error:
            raise _NoSecret(f"cannot run `{program}`: {error.strerror}") from error
    if done.returncode != 0:
        raise _NoSecret(f"`{program}` ended with status {done.returncode}; {_hint(is_there)}")
    secret = done.stdout.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise _NoSecret(f"`{program}` printed nothing; it has to print the secret on stdout")
    return secret


def _hint(is_there: bool) -> str:
    if is_there:
        return "run it by hand to see why"
    return "there is no terminal here that it could ask on: unlock it first, or run it by hand to see why"


def own_terminal() -> str:
    """The device of this process's terminal; empty where it has none."""
    for stream in (2, 0, 1):
        try:
            return os.ttyname(stream)
        except OSError:
            continue
    return ""


@contextmanager
def _terminal(environ: Mapping[str, str]) -> Iterator[tuple[int, bool]]:
    """Where a program may ask, and whether anybody is there to answer."""
    try:
        opened, is_there = os.open(environ.get(TERMINAL) or "/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), True
    except OSError:
        opened, is_there = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), False
    try:
        yield opened, is_there
    finally:
        os.close(opened)
