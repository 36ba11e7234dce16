"""Programs run to their end, with a bounded wait and their own words in the error."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.errors import LabError

__all__ = ["Completed", "run"]

Completed = subprocess.CompletedProcess[str]


def run(
    argv: Sequence[str],
    *,
    timeout_s: float = 120,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input_text: str | None = None,
) -> Completed:
    """Run a program without a terminal and return what it said.

    Raises LabError when it is missing, does not end within `timeout_s`, or (with `check`) ends with another code
    than 0.
    """
    try:
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=env,
            cwd=cwd,
            **({"stdin": subprocess.DEVNULL} if input_text is None else {"input": input_text}),
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed (tests/lab/README.md lists the packages)") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no end after {timeout_s:g} s: {shlex.join(argv)}") from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"exit code {done.returncode}: {shlex.join(argv)}\n{said}")
    return done
