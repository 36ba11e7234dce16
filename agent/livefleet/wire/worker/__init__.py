"""Our side of somebody's orchestrator."""

from livefleet.wire.worker.ai_service import AiWorker, AiWorkerSnapshot
from livefleet.wire.worker.link import CONDITION as JOINED_ORCHESTRATOR
from livefleet.wire.worker.service import Worker, WorkerSnapshot

__all__ = ["JOINED_ORCHESTRATOR", "AiWorker", "AiWorkerSnapshot", "Worker", "WorkerSnapshot"]
