"""What every role offers to the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from livefleet.hardware import HardwareSampler
from livefleet.health import Reading
from livefleet.kernel import BadInput, Clock, ConditionBoard
from livefleet.spec import NodeSpec

__all__ = ["Role", "RoleContext", "private_folder", "read_secret"]


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What the root hands to a role."""

    spec: NodeSpec
    board: ConditionBoard
    clock: Clock
    sampler: HardwareSampler


class Role(Protocol):
    """A role owns its services: entering acquires them, `run` keeps its duties going, leaving drains and releases."""

    required: tuple[str, ...]  # conditions without which the node is not ready

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def run(self) -> None:
        """The role's duties, until cancelled."""
        ...

    def parts(self) -> Mapping[str, Any]:
        """JSON-ready state by service, for /status."""
        ...

    def readings(self) -> list[Reading]:
        """Numbers for /metrics."""
        ...


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
