"""The script that a driver step puts on a host, as text."""

import base64

from deploys.outcome import Outcome, Shell

_FIXED = "\n# Changes the NVIDIA driver of a host"


def script_of(command: Shell) -> str:
    return base64.b64decode(command.stdin[0]).decode()


def declared_part(command: Shell) -> str:
    """What differs from host to host, and the phases that are run."""
    text = script_of(command)
    return text.partition(_FIXED)[0] + text[text.rindex('case "$1" in') :]


def scripts(outcome: Outcome) -> str:
    return "".join(script_of(command) for command in outcome.commands if isinstance(command, Shell) and command.stdin)
