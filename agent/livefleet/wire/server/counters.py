"""What happened since the start, for /status and metrics."""

from collections import deque
from dataclasses import dataclass, field

from livefleet.wire.server.worker_pool import WorkerSnapshot

__all__ = ["Counters", "ServerSnapshot"]


@dataclass(slots=True)
class Counters:
    """Counts of one server; plain numbers, read by `OrchestratorServer.snapshot`."""

    segments_ok: int = 0
    segments_failed: int = 0
    pixels: int = 0
    requests_refused: int = 0
    images_ok: int = 0
    images_failed: int = 0
    durations_s: deque[float] = field(default_factory=lambda: deque(maxlen=50))  # of transcoded segments


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """The server as it is now. Counts grow from the start of the process."""

    sessions: int
    max_sessions: int
    local_sessions: int
    workers: tuple[WorkerSnapshot, ...]
    segments_ok: int
    segments_failed: int
    pixels: int  # encoded, of segments that went well
    requests_refused: int  # work requests answered with 4xx or 5xx
    images_ok: int
    images_failed: int
    last_durations_s: tuple[float, ...]  # transcoding times, newest last
    front_door_open: bool
    front_door_restarts: int
    nginx_pid: int | None
