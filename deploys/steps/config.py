"""node.yaml, keys and secrets."""

import shlex
from collections.abc import Mapping

from deploys.facts import Observed
from deploys.outcome import Outcome, sh
from deploys.steps.files import HostFile, changed_files, difference, put_script
from livefleet.spec import NodeSpec

__all__ = ["SERVICE_USER", "config", "node_files"]

SERVICE_USER = "livefleet"
_MAKE_USER = (
    f"id -u {SERVICE_USER} >/dev/null 2>&1 || useradd --system --user-group --no-create-home"
    f" --home-dir /var/lib/livefleet --shell /usr/sbin/nologin {SERVICE_USER}"
)


def node_files(node: NodeSpec, yaml: str, secrets: Mapping[str, bytes], owner: str | None) -> tuple[HostFile, ...]:
    """What the node reads, readable by nobody else. `secrets` are contents by path, as the node spec names them."""
    config_file = HostFile(str(node.paths.node_yaml), yaml.encode(), 0o600, owner, secret=False)
    resolved = {str(node.paths.resolve(path)): content for path, content in secrets.items()}
    sent = [HostFile(path, content, 0o600, owner, secret=True) for path, content in sorted(resolved.items())]
    return (config_file, *sent)


def config(node: NodeSpec, files: tuple[HostFile, ...], facts: Observed, owner: str | None) -> Outcome:
    """Write the files that differ; make the service's user and folders first."""
    changed = changed_files(files, facts)
    make_user = owner is not None and not facts.service_user
    if not changed and not make_user:
        return Outcome()
    sent_to = {file.path.rpartition("/")[0] for file in files if file.secret}
    private = shlex.join(sorted({str(node.paths.state), str(node.paths.keys), *sent_to}))
    shared = shlex.join([str(node.paths.config), str(node.paths.log)])
    put, stdin = put_script(changed)
    lines = [
        *([_MAKE_USER] if owner else []),
        "umask 022",
        f"mkdir -p {shared} {private}",
        f"chmod 700 {private}",
        *([f"chown {owner}: {private} {shlex.quote(str(node.paths.log))}"] if owner else []),
        *put,
    ]
    notes = [f"write {file.path}" for file in changed]
    return Outcome(commands=(sh(lines, stdin=stdin),), notes=tuple(notes), diff=difference(changed, facts))
