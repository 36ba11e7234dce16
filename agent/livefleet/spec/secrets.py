"""Which of the operator's files and variables a host needs, and where they go on it."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.kernel import BadInput
from livefleet.spec.fleet import FleetSpec
from livefleet.spec.keys import KeyRef, NodeKey, NodeRemoteKey, RemoteKey, SecretRef

__all__ = ["SecretToSend", "UsedNames", "node_keys", "node_secrets", "output_of", "secrets_to_send"]

_COMMAND_TIMEOUT_S: Final = 120.0  # somebody may have to type or to touch something


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
    ref: SecretRef  # file, env or command
    base: Path  # folder that a relative `file` starts at

    def read(self, environ: Mapping[str, str]) -> bytes:
        """The value, from its file, its command or `environ`.

        Raises BadInput saying what is missing, never what is there.
        """
        if self.ref.env is not None:
            value = environ.get(self.ref.env)
            if not value:
                raise BadInput(f"{self.name}: the environment variable {self.ref.env} is not set")
            return value.encode()
        if self.ref.command is not None:
            return output_of(self.ref.command, what=self.name, folder=self.base, environ=environ)
        assert self.ref.file is not None  # host files are never sent
        path = self.base / Path(self.ref.file).expanduser()
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadInput(f"{self.name}: cannot read {path}: {error.strerror}") from error


def output_of(
    command: Sequence[str],
    *,
    what: str,
    folder: Path,
    environ: Mapping[str, str],
    timeout_s: float = _COMMAND_TIMEOUT_S,
) -> bytes:
    """What a command prints, less the last line's end: a secret, so that neither it nor its arguments are repeated.

    Args:
        command: Program and arguments; no shell reads them.
        what: Whose secret it is, for messages.
        folder: Where it runs.
        environ: What it finds in its environment.
        timeout_s: How long it may take.

    Raises:
        BadInput: there is no such program, it failed, took too long or printed nothing.
    """
    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # The cause has the output so far.
        raise BadInput(f"{what}: `{command[0]}` printed no secret within {timeout_s:.0f} s; run it by hand") from None
    except OSError as error:
        raise BadInput(f"{what}: cannot run `{command[0]}`: {error.strerror}") from error
    if done.returncode != 0:
        raise BadInput(f"{what}: `{command[0]}` ended with status {done.returncode}; run it by hand to see why")
    secret = done.stdout.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise BadInput(f"{what}: `{command[0]}` printed nothing; it has to print the secret on stdout")
    return secret


def node_keys(fleet: FleetSpec, used: UsedNames) -> dict[str, NodeKey]:
    """The used keys as the node sees them."""
    keys = {}
    for name in used.keys:
        ref = fleet.keys[name]
        password = ref.password and _host_path(ref.password, f"passwords/{name}")
        keys[name] = NodeKey(
            file=None if ref.remote is not None else _host_path(ref, f"keys/{name}"),
            remote=None if ref.remote is None else _node_remote(name, ref.remote),
            password_file=password,
            address=ref.address,
            roles=ref.roles,
        )
    return keys


def node_secrets(fleet: FleetSpec, used: UsedNames) -> dict[str, str]:
    """The used secrets as the node sees them: files on the host."""
    return {name: _host_path(fleet.secrets[name], f"secrets/{name}") for name in used.secrets}


def secrets_to_send(fleet: FleetSpec, used: UsedNames, base: Path) -> list[SecretToSend]:
    """What must be sent to a host that uses these names; host files are already there."""
    return [item for item in _all(fleet, used, base) if item.ref.host_file is None]


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


def _node_remote(name: str, remote: RemoteKey) -> NodeRemoteKey:
    paths = {
        f"{field}_file": None if ref is None else _host_path(ref, sent_to)
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
