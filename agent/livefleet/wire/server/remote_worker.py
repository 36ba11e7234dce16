"""A worker that has joined, as the pool sees it."""

import asyncio
from dataclasses import dataclass, field

from livefleet.kernel import SessionId
from livefleet.wire.capabilities import Capabilities
from livefleet.wire.messages import SessionEnd, WorkerTask
from livefleet.wire.server.worker_gate import SecretAge

__all__ = ["RemoteWorker", "WorkerSnapshot"]


@dataclass(eq=False, slots=True)
class RemoteWorker:
    """One open RegisterTranscoder stream."""

    capabilities: Capabilities
    capacity: int  # sessions
    peer: str
    since: float  # unix seconds
    gone: asyncio.Future[None]
    shown: bytes = field(default=b"", repr=False)  # the secret, as it was shown last
    outbox: asyncio.Queue[WorkerTask | SessionEnd | None] = field(default_factory=asyncio.Queue)
    sessions: set[SessionId] = field(default_factory=set)
    overdue_since: float | None = None  # monotonic: a segment took too long, and nothing has been heard since

    @property
    def load(self) -> float:
        """Share of its capacity in use."""
        return len(self.sessions) / self.capacity

    @property
    def has_room(self) -> bool:
        """Whether it takes another session."""
        return len(self.sessions) < self.capacity

    def send(self, task: WorkerTask | SessionEnd) -> None:
        """Queue for the stream."""
        self.outbox.put_nowait(task)


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """A worker as /status shows it."""

    peer: str
    capacity: int
    sessions: int
    since: float
    version: str
    secret: SecretAge = SecretAge.CURRENT  # which one it showed last: `current` or `former`
