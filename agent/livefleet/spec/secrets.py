"""Which of the operator's files and variables a host needs, and where they go on it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, assert_never

from livefleet.kernel import BadInput
from livefleet.spec.fleet import FleetSpec
from livefleet.spec.keys import KeyRef, NodeKey, NodeRemoteKey, RemoteKey, SecretRef
from livefleet.spec.monitoring import SecretPlace
from livefleet.spec.node import NodeSpec
from livefleet.spec.secret_command import CommandOutputs

__all__ = ["CREDENTIALS", "SecretToSend", "UsedNames", "node_keys", "node_secrets", "secret_place", "secrets_to_send"]

CREDENTIALS: Final = "/run/credentials/livefleet.service"
"""Where systemd puts the unit's credentials, readable by the agent alone."""

Place = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class UsedNames:
    """The keys and secrets that one node uses, by name."""

    keys: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretToSend:
    """One value to be put on a host, mode 0600. The value itself is read only when asked for."""

    name: str  # `keys.orchestrator`, for messages
    host_path: str  # a relative one starts at the node's state folder
    ref: SecretRef  # file, env or command
    base: Path  # folder that a relative `file` starts at
    elsewhere: tuple[str, ...] = ()  # where it would lie if `service.secrets` said otherwise

    def read(self, environ: Mapping[str, str], outputs: CommandOutputs | None = None) -> bytes:
        """The value, from its file, its command or `environ`. With `outputs` a command runs once for all that share it.

        Raises BadInput saying what is missing, never what is there.
        """
        if self.ref.env is not None:
            value = environ.get(self.ref.env)
            if not value:
                raise BadInput(f"{self.name}: the environment variable {self.ref.env} is not set")
            return value.encode()
        if self.ref.command is not None:
            known = outputs or CommandOutputs()
            return known.of(self.ref.command, what=self.name, folder=self.base, environ=environ)
        assert self.ref.file is not None  # host files are never sent
        path = self.base / Path(self.ref.file).expanduser()
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadInput(f"{self.name}: cannot read {path}: {error.strerror}") from error


def secret_place(node: NodeSpec) -> Place:
    """Where on the host what is sent to `secrets/NAME` and the like lies: a path, relative ones to the state folder."""
    return lambda sent_to: _placed(sent_to, node.service.secrets, node)


def _placed(sent_to: str, place: SecretPlace, node: NodeSpec) -> str:
    match place:
        case SecretPlace.STATE:
            return sent_to
        case SecretPlace.TMPFS:
            return f"{node.paths.run}/{sent_to}"
        case SecretPlace.CREDENTIALS:
            return f"{CREDENTIALS}/{sent_to.replace('/', '.')}"
        case _:
            assert_never(place)


def node_keys(fleet: FleetSpec, used: UsedNames, place: Place = str) -> dict[str, NodeKey]:
    """The used keys as the node sees them."""
    keys = {}
    for name in used.keys:
        ref = fleet.keys[name]
        password = ref.password and _host_path(ref.password, place(f"passwords/{name}"))
        keys[name] = NodeKey(
            file=None if ref.remote is not None else _host_path(ref, place(f"keys/{name}")),
            remote=None if ref.remote is None else _node_remote(name, ref.remote, place),
            password_file=password,
            address=ref.address,
            roles=ref.roles,
        )
    return keys


def node_secrets(fleet: FleetSpec, used: UsedNames, place: Place = str) -> dict[str, str]:
    """The used secrets as the node sees them: files on the host."""
    return {name: _host_path(fleet.secrets[name], place(f"secrets/{name}")) for name in used.secrets}


def secrets_to_send(fleet: FleetSpec, used: UsedNames, base: Path, node: NodeSpec) -> list[SecretToSend]:
    """What must be sent to the host of `node`, which uses these names; host files are already there."""
    found = []
    for item in _all(fleet, used, base):
        if item.ref.host_file is None:
            places = {place: _placed(item.host_path, place, node) for place in SecretPlace}
            here = places.pop(node.service.secrets)
            found.append(replace(item, host_path=here, elsewhere=tuple(places.values())))
    return found


def _all(fleet: FleetSpec, used: UsedNames, base: Path) -> Iterator[SecretToSend]:
    for name in used.keys:
        yield from _of_key(name, fleet.keys[name], base)
    for name in used.secrets:
        yield SecretToSend(f"secrets.{name}", f"secrets/{name}", fleet.secrets[name], base)


def _of_key(name: str, key: KeyRef, base: Path) -> Iterator[SecretToSend]:
    if key.remote is not None:
        for field, (ref, sent_to) in _files_of(name, key.remote).items():
            if ref is not None:
                yield SecretToSend(f"keys.{name}.remote.{field}", sent_to, ref, base)
        return
    yield SecretToSend(f"keys.{name}", f"keys/{name}", key, base)
    if key.password is not None:
        yield SecretToSend(f"keys.{name}.password", f"passwords/{name}", key.password, base)


def _node_remote(name: str, remote: RemoteKey, place: Place) -> NodeRemoteKey:
    paths = {
        f"{field}_file": None if ref is None else _host_path(ref, place(sent_to))
        for field, (ref, sent_to) in _files_of(name, remote).items()
    }
    return NodeRemoteKey(url=remote.url, identifier=remote.identifier, timeout_s=remote.timeout_s, **paths)


def _files_of(name: str, remote: RemoteKey) -> dict[str, tuple[SecretRef | None, str]]:
    """Each secret of a signing service with the place on the host that it is sent to."""
    return {
        "tls_ca": (remote.tls_ca, f"signers/{name}/ca.pem"),
        "client_certificate": (remote.client_certificate, f"signers/{name}/client.pem"),
        "client_key": (remote.client_key, f"signers/{name}/client-key.pem"),
        "token": (remote.token, f"signers/{name}/token"),
    }


def _host_path(ref: SecretRef, sent_to: str) -> str:
    return ref.host_file if ref.host_file is not None else sent_to
