"""Our side of somebody's orchestrator."""

from livefleet.wire.worker.service import CONDITION as JOINED_ORCHESTRATOR
from livefleet.wire.worker.service import Worker, WorkerSnapshot

__all__ = ["JOINED_ORCHESTRATOR", "Worker", "WorkerSnapshot"]
