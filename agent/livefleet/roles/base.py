"""What every role offers to the composition root."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from livefleet.chain import LocalSigner, RemoteSigner, RemoteSignerSettings, Signer, checksum_address, load_key
from livefleet.hardware import DevicesAside, HardwareSampler, VramLedger
from livefleet.health import Reading
from livefleet.kernel import BadInput, Clock, ConditionBoard
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import Drainable, DrainTarget, Remaining, SignerResource
from livefleet.spec import KeyRole, NodeKey, NodeRemoteKey, NodeSpec

__all__ = [
    "NeverEmptied",
    "Role",
    "RoleContext",
    "close_signer",
    "open_signer",
    "private_folder",
    "read_secret",
    "signer_loops",
]


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What the root hands to a role."""

    spec: NodeSpec
    board: ConditionBoard
    clock: Clock
    sampler: HardwareSampler
    ledger: VramLedger  # of the devices' memory, for all that runs here
    aside: DevicesAside = field(default_factory=DevicesAside)  # GPUs that get no work
    release: str = ""  # what runs


class Role(Drainable, Protocol):
    """A role owns its services: entering acquires them, `run` keeps its duties going, leaving drains and releases."""

    required: tuple[str, ...]  # conditions without which the node is not ready

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def run(self) -> None:
        """The role's duties, until cancelled."""
        ...

    def take_over(self, spec: NodeSpec) -> None:
        """Go on with `spec`, also after a retry. It differs in what is live for the role (`spec.takeover_rules`) only.

        Raises BadInput, and nothing has changed.
        """
        ...

    def parts(self) -> Mapping[str, Any]:
        """JSON-ready state by service, for /status."""
        ...

    def readings(self) -> list[Reading]:
        """Numbers for /metrics."""
        ...


class NeverEmptied:
    """The part of a role that takes no work from peers: there is nothing to empty."""

    def drain(self, target: DrainTarget) -> None:
        """Changes nothing."""

    def remaining(self) -> Remaining:
        """Nothing."""
        return Remaining()

    def remaining_on(self) -> Mapping[str, Remaining]:
        """No devices."""
        return {}

    def relies_on_devices(self) -> bool:
        """It has none."""
        return False


def private_folder(path: Path) -> Path:
    """Make a folder that only this user can enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def read_secret(spec: NodeSpec, name: str) -> str:
    """The text of a declared secret. Raises BadInput with what to do."""
    reference = spec.secrets.get(name)
    if reference is None:
        raise BadInput(f"node.yaml: the secret {name!r} is used but not declared under `secrets`")
    path = spec.paths.resolve(reference)
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise BadInput(f"{path}: cannot read the secret {name!r}: {error.strerror}") from error
    if not text:
        raise BadInput(f"{path}: the secret {name!r} is empty")
    return text


async def open_signer(spec: NodeSpec, name: str) -> Signer:
    """The declared key, checked against its declared address; `close_signer` when done.

    A key file is unlocked now. A signing service is not asked yet: it may come up later than the node.
    Raises BadInput with what to do.
    """
    key = spec.keys.get(name)
    if key is None:
        raise BadInput(f"node.yaml: the key {name!r} is used but not declared under `keys`")
    if KeyRole.COLD in (key.roles or ()):
        raise BadInput(f"node.yaml: the key {name!r} is cold: no node uses it; sign with `livefleet chain sign`")
    if key.remote is not None:
        return RemoteSigner(_remote_settings(spec, name, key, key.remote))
    # A keystore takes a second of computing to open, in which the admin endpoint has to answer.
    return await asyncio.to_thread(_load_signer, spec, name, key)


def signer_loops(context: RoleContext, signers: Mapping[str, Signer]) -> list[ReconcileLoop[Any]]:
    """A loop for each key at a signing service, which says whether it can be had. `signers`: by name."""
    return [
        ReconcileLoop(SignerResource(name, signer), context.board)
        for name, signer in signers.items()
        if isinstance(signer, RemoteSigner)
    ]


async def close_signer(signer: Signer | None) -> None:
    """Let go of what `open_signer` has opened."""
    if isinstance(signer, RemoteSigner):
        await signer.close()


def _load_signer(spec: NodeSpec, name: str, key: NodeKey) -> LocalSigner:
    assert key.file is not None  # NodeKey's own rule
    path = spec.paths.resolve(key.file)
    passphrase = None
    if key.password_file is not None:
        passphrase = _read(spec.paths.resolve(key.password_file), f"the passphrase of key {name!r}")
    signer = load_key(path, passphrase)
    if key.address is not None and key.address.lower() != signer.address.lower():
        raise BadInput(f"{path}: is the key of {signer.address}, declared is {key.address}")
    return signer


def _remote_settings(spec: NodeSpec, name: str, key: NodeKey, remote: NodeRemoteKey) -> RemoteSignerSettings:
    def path(text: str | None) -> Path | None:
        return None if text is None else spec.paths.resolve(text)

    assert key.address is not None  # NodeKey's own rule
    token = path(remote.token_file)
    return RemoteSignerSettings(
        url=remote.url,
        address=checksum_address(bytes.fromhex(key.address[2:])),
        identifier=remote.identifier,
        tls_ca=path(remote.tls_ca_file),
        client_certificate=path(remote.client_certificate_file),
        client_key=path(remote.client_key_file),
        token=None if token is None else _read(token, f"the token of key {name!r}"),
        timeout_s=remote.timeout_s,
    )


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise BadInput(f"{path}: cannot read {what}: {error.strerror}") from error
