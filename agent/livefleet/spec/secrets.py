"""Which of the operator's files and variables a host needs, and where they go on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from livefleet.kernel import BadInput
from livefleet.spec.fleet import FleetSpec
from livefleet.spec.keys import NodeKey, SecretRef

__all__ = ["SecretToSend", "UsedNames", "node_keys", "node_secrets", "secrets_to_send"]


@dataclass(frozen=True, slots=True)
class UsedNames:
    """The keys and secrets that one node uses, by name."""

    keys: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretToSend:
    """One value to be put on a host, mode 0600. The value itself is read only when asked for."""

    name: str  # `keys.orchestrator`, for messages
    host_path: str  # relative to the node's state folder
    ref: SecretRef  # file or env
    base: Path  # folder that a relative `file` starts at

    def read(self, environ: Mapping[str, str]) -> bytes:
        """The value, from its file or from `environ`. Raises BadInput saying what is missing, never what is there."""
        if self.ref.env is not None:
            value = environ.get(self.ref.env)
            if not value:
                raise BadInput(f"{self.name}: the environment variable {self.ref.env} is not set")
            return value.encode()
        assert self.ref.file is not None  # host files are never sent
        path = self.base / Path(self.ref.file).expanduser()
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadInput(f"{self.name}: cannot read {path}: {error.strerror}") from error


def node_keys(fleet: FleetSpec, used: UsedNames) -> dict[str, NodeKey]:
    """The used keys as the node sees them."""
    keys = {}
    for name in used.keys:
        ref = fleet.keys[name]
        password = ref.password and _host_path(ref.password, f"passwords/{name}")
        keys[name] = NodeKey(file=_host_path(ref, f"keys/{name}"), password_file=password, address=ref.address)
    return keys


def node_secrets(fleet: FleetSpec, used: UsedNames) -> dict[str, str]:
    """The used secrets as the node sees them: files on the host."""
    return {name: _host_path(fleet.secrets[name], f"secrets/{name}") for name in used.secrets}


def secrets_to_send(fleet: FleetSpec, used: UsedNames, base: Path) -> list[SecretToSend]:
    """What must be sent to a host that uses these names; host files are already there."""
    return [item for item in _all(fleet, used, base) if item.ref.host_file is None]


def _all(fleet: FleetSpec, used: UsedNames, base: Path) -> Iterator[SecretToSend]:
    for name in used.keys:
        key = fleet.keys[name]
        yield SecretToSend(f"keys.{name}", f"keys/{name}", key, base)
        if key.password is not None:
            yield SecretToSend(f"keys.{name}.password", f"passwords/{name}", key.password, base)
    for name in used.secrets:
        yield SecretToSend(f"secrets.{name}", f"secrets/{name}", fleet.secrets[name], base)


def _host_path(ref: SecretRef, sent_to: str) -> str:
    return ref.host_file if ref.host_file is not None else sent_to
