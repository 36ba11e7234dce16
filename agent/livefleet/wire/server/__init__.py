"""The orchestrator's side of the wire: one TLS port for gateways and workers."""

from livefleet.wire.server.ai_worker_pool import AiWorkerPool, AiWorkerSnapshot
from livefleet.wire.server.counters import Counters, ServerSnapshot
from livefleet.wire.server.front_door import CONDITION as FRONT_DOOR_OPEN
from livefleet.wire.server.front_door import FrontDoor
from livefleet.wire.server.self_check import CONDITION as SERVICE_REACHABLE
from livefleet.wire.server.server import OrchestratorServer
from livefleet.wire.server.transcoders import Transcoders
from livefleet.wire.server.worker_gate import SecretAge, WorkerSecrets
from livefleet.wire.server.worker_pool import WorkerPool, WorkerSnapshot

__all__ = [
    "FRONT_DOOR_OPEN",
    "SERVICE_REACHABLE",
    "AiWorkerPool",
    "AiWorkerSnapshot",
    "Counters",
    "FrontDoor",
    "OrchestratorServer",
    "SecretAge",
    "ServerSnapshot",
    "Transcoders",
    "WorkerPool",
    "WorkerSecrets",
    "WorkerSnapshot",
]
