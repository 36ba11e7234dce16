"""What an agent may take over by itself, and what only `apply` may bring."""

from collections.abc import Callable, Iterator
from pathlib import Path

from livefleet.spec import NodeSpec, Role, missing_extras

__all__ = ["refusals"]


def refusals(current: NodeSpec, newer: NodeSpec, is_there: Callable[[Path], bool]) -> tuple[str, ...]:
    """Every reason for which `newer` is left alone; none when it may be taken over. Pure but for `is_there`.

    An agent runs as an unprivileged user: it installs nothing, moves no tree, and nobody but `apply` brings it secrets.
    """
    return tuple(_reasons(current, newer, is_there))


def _reasons(current: NodeSpec, newer: NodeSpec, is_there: Callable[[Path], bool]) -> Iterator[str]:
    for field in ("fleet", "name", "root"):
        old, new = getattr(current, field), getattr(newer, field)
        if old != new:
            yield f"`{field}` would change from {old} to {new}: that is another node"
    if newer.pull is None:
        yield "`pull` is gone: a node that no longer looks can only be told by `livefleet apply`"
    elif not is_there(newer.paths.resolve(newer.pull.trust)):
        yield f"the bundle's root is not on this host ({newer.pull.trust}): apply once"
    if newer.role is Role.ORCHESTRATOR and current.role is not Role.ORCHESTRATOR:
        yield "a worker becomes an orchestrator: that takes a front door (nginx) and ports, which `apply` sets up"
    for extra in missing_extras(newer):
        yield f"packages are missing for it ({extra.why}): `apply` brings a release with `{extra.name}`"
    if current.service != newer.service:
        yield "`service` changes: the unit is written by `apply`"
    for name, file in _files(newer):
        if not is_there(newer.paths.resolve(file)):
            yield f"{name} is not on this host ({file}): apply once, which brings secrets"


def _files(node: NodeSpec) -> Iterator[tuple[str, str]]:
    for name, key in node.keys.items():
        if key.file is not None:
            yield f"the key `{name}`", key.file
        if key.password_file is not None:
            yield f"the passphrase of `{name}`", key.password_file
        if key.remote is not None:
            for field in ("tls_ca_file", "client_certificate_file", "client_key_file", "token_file"):
                if (file := getattr(key.remote, field)) is not None:
                    yield f"`{field}` of the key `{name}`", file
    for name, file in node.secrets.items():
        yield f"the secret `{name}`", file
