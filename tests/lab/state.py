"""What a lab writes down about itself, so that another process can use it, or remove it when its maker is gone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tests.lab.errors import LabError
from tests.lab.processes import ProcessId

__all__ = ["HostState", "LabState", "folder", "labs", "locked", "require_root", "store"]


class HostState(BaseModel):
    """One host of a lab."""

    model_config = ConfigDict(extra="forbid")

    index: int  # decides the address
    supervisor: str | None = None  # PID:START
    tree: Path | None = None  # what it starts from, where that is not the lab's base


class LabState(BaseModel):
    """One lab; `owner` is None for one that stays until somebody takes it down."""

    model_config = ConfigDict(extra="forbid")

    lab: str
    owner: str | None
    base: Path
    hosts: dict[str, HostState] = {}

    def is_abandoned(self) -> bool:
        """Whether the process that the lab was made for is gone."""
        return self.owner is not None and not ProcessId.parse(self.owner).is_alive()

    def save(self) -> None:
        """Write the state whole or not at all."""
        file = folder(self.lab) / "state.json"
        partial = file.with_suffix(".partial")
        partial.write_text(self.model_dump_json(indent=2))
        partial.rename(file)


def require_root() -> None:
    """Refuse early what only root can do."""
    if os.geteuid() != 0:
        raise LabError("test hosts need root (mounts, namespaces, systemd-nspawn): run this as root")


def store() -> Path:
    """Where labs live: LIVEFLEET_LAB_DIR, or a folder of root's. It must not itself be on an overlay."""
    return Path(os.environ.get("LIVEFLEET_LAB_DIR", "/var/lib/livefleet-lab"))


def folder(lab: str) -> Path:
    return store() / lab


def labs() -> list[LabState]:
    """Every lab written down, whoever made it."""
    require_root()
    return [LabState.model_validate_json(file.read_text()) for file in sorted(store().glob("*/state.json"))]


@contextmanager
def locked() -> Iterator[None]:
    """Hold the store: for the short steps in which two labs could get into each other's way."""
    require_root()
    store().mkdir(mode=0o700, parents=True, exist_ok=True)
    with (store() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
