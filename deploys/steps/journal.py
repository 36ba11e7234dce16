"""A host's own record of what was done to it: one JSON line a change, appended and brought to the disk."""

import getpass
import json
import os
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from livefleet.spec import NodeSpec

__all__ = ["Deed", "DeedOutcome", "journal_line", "operator"]


class DeedOutcome(StrEnum):
    """What became of it."""

    SERVING = "serving"
    WENT_BACK = "went back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done, by whom. Holds no secret: the specification stands for itself by its digest."""

    who: str  # `alice@laptop`
    action: str  # `apply`, `rollback`
    release_before: str
    release: str
    digest: str  # of the node's specification, as /status tells it


def operator(environ: Mapping[str, str] = os.environ) -> str:
    """Who works here: $LIVEFLEET_OPERATOR, else this user on this machine."""
    return environ.get("LIVEFLEET_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"


def journal_line(node: NodeSpec, deed: Deed, outcome: DeedOutcome) -> str:
    """Shell line that notes it in `journal.jsonl` of the state folder, which its owner and root alone may enter."""
    fields = {
        "who": deed.who,
        "action": deed.action,
        "before": deed.release_before,
        "after": deed.release,
        "digest": deed.digest,
        "outcome": outcome.value,
    }
    rest = json.dumps(fields).removeprefix("{")
    path = shlex.quote(str(node.paths.state / "journal.jsonl"))
    return f'(umask 077; printf \'{{"at": %s, %s\\n\' "$(date +%s)" {shlex.quote(rest)} >> {path}; sync {path})'
