"""What happened since the start, for /status and metrics."""

from collections import deque
from dataclasses import dataclass, field

from livefleet.kernel import Histogram, LastValues, LivefleetError, Tally
from livefleet.wire.server.ai_worker_pool import AiWorkerSnapshot
from livefleet.wire.server.worker_pool import WorkerSnapshot
from livefleet.wire.work_stats import AUTH_WEBHOOK_MS, AiStats, SegmentStats, refusal_reason

__all__ = ["Counters", "ServerSnapshot", "Suspension"]

_SUSPENSIONS = 20


@dataclass(frozen=True, slots=True)
class Suspension:
    """What a gateway was told, or had to wait for, that makes a stock one leave this node for a while."""

    at: float  # unix seconds
    gateway: str  # its address; empty off-chain
    error: str


@dataclass(slots=True)
class Counters:
    """Counts of one server; plain numbers, read by `OrchestratorServer.snapshot` and at scrape.

    Whoever asks a webhook tells `auth_webhook_ms` how long the answer took.
    """

    segments_ok: int = 0
    segments_failed: int = 0
    pixels: int = 0
    requests_refused: int = 0
    images_ok: int = 0
    images_failed: int = 0
    durations_s: deque[float] = field(default_factory=lambda: deque(maxlen=50))  # of transcoded segments
    work: SegmentStats = field(default_factory=SegmentStats)
    ai: AiStats = field(default_factory=AiStats)
    refused: Tally = field(default_factory=lambda: Tally(keep=1))  # by request, reason
    prices_given: LastValues = field(default_factory=LastValues)  # wei per pixel by sender, told without capabilities
    suspensions: deque[Suspension] = field(default_factory=lambda: deque(maxlen=_SUSPENSIONS))
    auth_webhook_ms: Histogram = field(default_factory=lambda: Histogram(AUTH_WEBHOOK_MS))

    def refuse(self, request: str, error: LivefleetError) -> None:
        """A request of this kind was not taken."""
        self.refused.add(request, refusal_reason(error))


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """The server as it is now. Counts grow from the start of the process."""

    sessions: int
    max_sessions: int
    local_sessions: int
    workers: tuple[WorkerSnapshot, ...]
    ai_workers: tuple[AiWorkerSnapshot, ...]
    segments_ok: int
    segments_failed: int
    pixels: int  # encoded, of segments that went well
    requests_refused: int  # work requests answered with 4xx or 5xx
    images_ok: int
    images_failed: int
    last_durations_s: tuple[float, ...]  # transcoding times, newest last
    front_door_open: bool
    front_door_restarts: int
    files_uploaded: int  # results that an object store took
    files_not_uploaded: int  # results that one did not take, and that lie in memory instead
    worker_retries: int  # segments sent to another worker after theirs was lost
    ai_worker_retries: int  # jobs, likewise
    suspensions: tuple[Suspension, ...]  # the last ones, newest last
    nginx_pid: int | None
    certificate_days: float | None = None  # until the shown one ends
