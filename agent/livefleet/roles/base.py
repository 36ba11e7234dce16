"""What every role offers to the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from livefleet.chain import LocalSigner, load_key
from livefleet.hardware import HardwareSampler
from livefleet.health import Reading
from livefleet.kernel import BadInput, Clock, ConditionBoard
from livefleet.reconcile.resources import Drainable, DrainTarget, Remaining
from livefleet.spec import NodeSpec

__all__ = ["NeverEmptied", "Role", "RoleContext", "load_signer", "private_folder", "read_secret"]


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What the root hands to a role."""

    spec: NodeSpec
    board: ConditionBoard
    clock: Clock
    sampler: HardwareSampler


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

    def reprice(self, spec: NodeSpec) -> None:
        """Go on with `spec`, which differs in prices only. Raises BadInput, and nothing has changed."""
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


def load_signer(spec: NodeSpec, name: str) -> LocalSigner:
    """The declared key, unlocked and checked against its declared address. Raises BadInput with what to do."""
    key = spec.keys.get(name)
    if key is None:
        raise BadInput(f"node.yaml: the key {name!r} is used but not declared under `keys`")
    passphrase = None
    if key.password_file is not None:
        path = spec.paths.resolve(key.password_file)
        try:
            passphrase = path.read_text().strip()
        except OSError as error:
            raise BadInput(f"{path}: cannot read the passphrase of key {name!r}: {error.strerror}") from error
    path = spec.paths.resolve(key.file)
    signer = load_key(path, passphrase)
    if key.address is not None and key.address.lower() != signer.address.lower():
        raise BadInput(f"{path}: is the key of {signer.address}, declared is {key.address}")
    return signer
