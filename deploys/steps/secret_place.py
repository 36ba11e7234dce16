"""Where a host keeps its secrets (`service.secrets`): whether it can, and no copy where they were before."""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from deploys.steps.preflight import ServiceKind
from livefleet.spec import CREDENTIALS, NodeSpec, SecretPlace

__all__ = ["credential_names", "fits_secret_place", "leftovers", "sealed_path"]

STORE: Final = "/etc/credstore.encrypted"
_OLDEST_SYSTEMD: Final = 250


def sealed_path(name: str) -> str:
    """Where a credential lies encrypted."""
    return f"{STORE}/livefleet.{name}"


def credential_names(node: NodeSpec) -> tuple[str, ...]:
    """Those that the unit opens for the agent."""
    files = (*node.secrets.values(), *(path for key in node.keys.values() for path in key.files))
    return tuple(sorted({path.rpartition("/")[2] for path in files if path.startswith(f"{CREDENTIALS}/")}))


def fits_secret_place(node: NodeSpec, kind: ServiceKind, facts: Observed) -> Outcome:
    """Refuse what this host cannot do."""
    if node.service.secrets is SecretPlace.TMPFS and node.root != "/":
        return refuse("`service: {secrets: tmpfs}` needs `root: /`: only there it is known to be memory")
    if node.service.secrets is not SecretPlace.CREDENTIALS:
        return Outcome()
    if kind is not ServiceKind.SYSTEMD:
        return refuse("`service: {secrets: credentials}` needs a node that systemd runs; write `tmpfs` or `state`")
    if not facts.safety.systemd_creds or facts.safety.systemd_version < _OLDEST_SYSTEMD:
        return refuse(
            f"`service: {{secrets: credentials}}` needs systemd {_OLDEST_SYSTEMD} with systemd-creds (Debian 12, Ubuntu"
            f" 24.04), this host has {facts.safety.systemd_version or 'none'}; write `tmpfs` or `state`"
        )
    return Outcome()


def leftovers(
    node: NodeSpec, secrets: Mapping[str, bytes], elsewhere: Iterable[tuple[str, str]], facts: Observed
) -> Outcome:
    """Delete what lies where secrets do not belong any more: only a copy of what now lies in its place.

    `elsewhere`: pairs of a secret's path, as in `secrets`, and another that it might have had.
    """
    gone = []
    for path, other in elsewhere:
        folder, _, name = other.rpartition("/")
        place = sealed_path(name) if folder == CREDENTIALS else str(node.paths.resolve(other))
        found = facts.files.get(place)
        if found is not None and found.sha256 == hashlib.sha256(secrets[path]).hexdigest():
            gone.append(place)
    if not gone:
        return Outcome()
    lines = [f"rm -f {' '.join(map(shlex.quote, sorted(gone)))}"]
    notes = [f"delete {len(gone)} copies of secrets that now lie elsewhere ({node.service.secrets})"]
    if node.service.secrets is not SecretPlace.STATE:
        previous = f"{node.root.rstrip('/')}/opt/livefleet/previous"
        lines.append(f"rm -rf {shlex.quote(previous)}")
        notes.append("what is kept to go back to has copies too: it goes as well")
    return Outcome(commands=(sh(lines),), notes=tuple(notes))
