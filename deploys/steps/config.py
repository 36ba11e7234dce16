"""node.yaml, keys, secrets and the unit: written beside their places, then in force at once with the release."""

import shlex
from collections.abc import Mapping

from deploys.facts import Observed
from deploys.outcome import Outcome, sh
from deploys.steps.files import HostFile, changed_files, difference
from deploys.steps.secret_place import sealed_path
from deploys.steps.switch import clear_away, stage
from livefleet.kernel import BadInput
from livefleet.spec import CREDENTIALS, NodeSpec, parse_node

__all__ = ["MAKE_USER", "SERVICE_USER", "config", "node_files"]

SERVICE_USER = "livefleet"
MAKE_USER = (
    f"id -u {SERVICE_USER} >/dev/null 2>&1 || useradd --system --user-group --no-create-home"
    f" --home-dir /var/lib/livefleet --shell /usr/sbin/nologin {SERVICE_USER}"
)
"""A shell line that makes the service's user where there is none."""


def node_files(node: NodeSpec, yaml: str, secrets: Mapping[str, bytes], owner: str | None) -> tuple[HostFile, ...]:
    """What the node reads, readable by nobody else. `secrets` are contents by path, as the node spec names them."""
    config_file = HostFile(str(node.paths.node_yaml), yaml.encode(), 0o600, owner, secret=False)
    resolved = {str(node.paths.resolve(path)): content for path, content in secrets.items()}
    sent = [_secret_file(path, content, owner) for path, content in sorted(resolved.items())]
    return (config_file, *sent)


def config(
    node: NodeSpec,
    files: tuple[HostFile, ...],
    facts: Observed,
    owner: str | None,
    release_id: str,
    opt: str,
    stamp: str,
) -> Outcome:
    """Switch to the release and to the files that differ; make the service's user and folders first.

    `files` are all that the service starts from: those of `node_files`, and the unit or the supervisor. `stamp` is what
    `started` will say of it.
    """
    changed = changed_files(files, facts)
    make_user = owner is not None and not facts.service_user
    if not changed and not make_user and facts.current == release_id and not facts.switching:
        if not facts.staged:
            return Outcome()
        return Outcome(commands=(sh(clear_away(opt)),), notes=("clear away what a run that was cut off had written",))
    if facts.switching:  # what was observed is a mixture: everything is written again
        changed = files
    sent_to = {file.path.rpartition("/")[0] for file in files if file.secret and not file.sealed_as}
    private = shlex.join(sorted({str(node.paths.state), str(node.paths.keys), *sent_to}))
    shared = shlex.join([str(node.paths.config), str(node.paths.log)])
    staged, stdin = stage(changed, _to_keep(node, files, facts), release_id, stamp, opt)
    lines = [
        *([MAKE_USER] if owner else []),
        "umask 022",
        f"mkdir -p {shared} {private}",
        f"chmod 700 {private}",
        *([f"chown {owner}: {private} {shlex.quote(str(node.paths.log))}"] if owner else []),
        *staged,
    ]
    notes = [f"write {file.path}" for file in changed]
    if facts.switching:
        notes.insert(0, "finish a switch that was cut off, then write everything again")
    if facts.current != release_id:
        notes.append(f"switch from {facts.current or 'nothing'} to {release_id}")
    return Outcome(commands=(sh(lines, stdin=stdin),), notes=tuple(notes), diff=_difference(changed, facts))


def _to_keep(node: NodeSpec, files: tuple[HostFile, ...], facts: Observed) -> list[str] | None:
    """Paths to go back to: those of now, and keys and secrets that the host's own node.yaml names.

    None where there is no way back: secrets lie elsewhere from now on, and no copy of them stays behind. What lies in
    memory is not brought to the disk either.
    """
    before = _node_before(node, facts)
    if before is not None and before.service.secrets != node.service.secrets:
        return None
    named = (
        [] if before is None else [*(p for key in before.keys.values() for p in key.files), *before.secrets.values()]
    )
    known = dict.fromkeys([*(file.path for file in files), *(str(node.paths.resolve(path)) for path in named)])
    return [path for path in known if not path.startswith((f"{node.paths.run}/", f"{CREDENTIALS}/"))]


def _node_before(node: NodeSpec, facts: Observed) -> NodeSpec | None:
    found = facts.files.get(str(node.paths.node_yaml))
    if found is None or found.text is None:
        return None
    try:
        return parse_node(found.text, str(node.paths.node_yaml))
    except BadInput:  # of another version
        return None


def _secret_file(path: str, content: bytes, owner: str | None) -> HostFile:
    folder, _, name = path.rpartition("/")
    if folder == CREDENTIALS:  # where systemd puts it opened; it lies sealed, and only root needs to read it
        return HostFile(sealed_path(name), content, 0o600, None, secret=True, sealed_as=name)
    return HostFile(path, content, 0o600, owner, secret=True)


def _difference(changed: tuple[HostFile, ...], facts: Observed) -> tuple[str, ...]:
    """A program's text tells operators nothing; its note does."""
    return difference([file for file in changed if not file.path.endswith(".py")], facts)
