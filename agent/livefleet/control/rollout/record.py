"""A rollout as it stands, written to the operator's disk after each step: what resuming begins from."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from livefleet.kernel import BadInput
from livefleet.kernel.durable_file import write_durably

__all__ = ["BatchRecord", "HostRecord", "Phase", "RolloutRecord", "load_record", "save_record"]


class Phase(StrEnum):
    """How far a host has come. What the host itself runs is old or new in each of them."""

    WAITING = "not begun"
    EMPTYING = "emptying"
    CHANGING = "changing"
    PROVING = "proving"
    GOING_BACK = "going back"
    DONE = "done"
    UNCHANGED = "unchanged"
    WENT_BACK = "went back"
    FAILED = "failed"
    LATER = "waiting for its window"
    BLOCKED = "blocked"

    @property
    def is_last(self) -> bool:
        """Whether nothing more happens to the host in this rollout."""
        return self not in (Phase.WAITING, Phase.EMPTYING, Phase.CHANGING, Phase.PROVING, Phase.GOING_BACK)

    @property
    def is_bad(self) -> bool:
        """Whether nobody else should follow."""
        return self in (Phase.WENT_BACK, Phase.FAILED)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HostRecord(_Record):
    """One host."""

    phase: Phase = Phase.WAITING
    text: str = ""  # what became of it, or what stands in the way
    wanted: str = ""  # what it is to run: its specification's digest and the release
    restarts: bool = True  # its agent is restarted, so it is emptied before
    kept_empty: bool = False  # somebody else had emptied it before, and wants it so
    begun: bool = False  # its change may have been begun: what is found as declared then is to be proven all the same


class BatchRecord(_Record):
    """Hosts that change together."""

    hosts: tuple[str, ...]
    canary: bool = False


class RolloutRecord(_Record):
    """One rollout from its plan to its end. Holds no secret but the lock's token, which is worth nothing elsewhere."""

    id: str
    fleet: str
    operator: str
    token: str  # of the locks on the hosts
    began_at: float
    batches: tuple[BatchRecord, ...]
    hosts: dict[str, HostRecord]
    next_batch: int = 0
    bake_until: float = 0.0  # unix seconds; 0: nothing is waited for
    bake_s: float = 0.0
    ended: str = ""  # "done", "stopped" or "forgotten"; empty: not yet

    def in_phase(self, *phases: Phase) -> tuple[str, ...]:
        """Hosts that stand there."""
        return tuple(name for name, host in self.hosts.items() if host.phase in phases)


def load_record(path: Path) -> RolloutRecord | None:
    """The latest rollout of the fleet from this machine; None: there was none. Raises BadInput."""
    try:
        return RolloutRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise BadInput(f"{path}: no record of a rollout that can be read ({error}); remove it to begin anew") from error


def save_record(path: Path, record: RolloutRecord) -> None:
    """Durably, in place of the one before. Raises BadInput where that cannot be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, (record.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}; nothing goes on without it") from error
