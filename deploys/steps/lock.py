"""An operator's lock on a host: whoever does not hold it changes nothing there.

A rollout holds it for all its hosts ($LIVEFLEET_LOCK is its token). An apply takes it for itself with the first command
that changes something, and gives it back when the host serves or has gone back. What an apply that broke off has left
is no hindrance to the same operator.
"""

import hashlib
import shlex
from collections.abc import Mapping

from deploys.facts import Observed
from deploys.outcome import Outcome, Shell, refuse, sh
from deploys.steps.journal import operator
from livefleet.spec import NodeSpec
from livefleet.spec.operator_lock import LOCK_SCRIPT

__all__ = ["giving_back", "locked_by_another", "taking"]

_HELD_FOR_S = 1800
"""As long as an apply of a driver may take, reboot included; nobody renews it meanwhile."""


def locked_by_another(facts: Observed, environ: Mapping[str, str]) -> Outcome | None:
    """The refusal, where somebody else holds the host; None where nobody does or the lock is ours."""
    if not facts.lock:
        return None
    token, left_s, owner = [*facts.lock.split(" ", 2), "", ""][:3]
    if token in (environ.get("LIVEFLEET_LOCK"), _own_token(environ)):
        return None
    return refuse(
        f"{owner or 'another operator'} is changing this host; the lock ends in {left_s} s unless it is renewed:"
        " wait, or break it with `livefleet rollout --break-lock` when nobody works there"
    )


def taking(node: NodeSpec, opt: str, environ: Mapping[str, str]) -> Shell | None:
    """The command that takes the host, or fails; None where whoever called holds it."""
    if environ.get("LIVEFLEET_LOCK"):
        return None
    said = "another operator is changing this host (seconds left, began, who):"
    lines = [
        "read -r token; read -r owner",
        f"said=$({_script('take', opt, node)})",
        f'[ "$said" = ours ] || {{ echo "{said} $said" >&2; exit 1; }}',
    ]
    return sh(lines, stdin=[_own_token(environ), operator(environ)], timeout_s=60)


def giving_back(node: NodeSpec, opt: str, environ: Mapping[str, str]) -> str:
    """The shell line that gives it back; harmless where it is not ours any more."""
    values = f"token={shlex.quote(_own_token(environ))}; owner=; "
    return f"{values}{_script('release', opt, node)} >/dev/null || true"


def _script(action: str, opt: str, node: NodeSpec) -> str:
    words = [shlex.quote(word) for word in (opt, str(node.paths.state))]
    return f'sh -c {shlex.quote(LOCK_SCRIPT)} lock {action} "$token" {_HELD_FOR_S} "$owner" {" ".join(words)}'


def _own_token(environ: Mapping[str, str]) -> str:
    """The same for all applies of one operator: two of his own at once he has to keep apart himself."""
    return f"apply-{hashlib.sha256(operator(environ).encode()).hexdigest()[:16]}"
