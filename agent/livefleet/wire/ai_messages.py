"""What orchestrators and AI workers say to each other, as it is inside."""

from dataclasses import dataclass

from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.capabilities import Capabilities

__all__ = ["AiRegistration", "AiTask"]


@dataclass(frozen=True, slots=True)
class AiRegistration:
    """A worker that wants to join. Source: lp_rpc.proto RegisterAIWorkerRequest."""

    secret: str
    capabilities: Capabilities
    hardware: tuple[ModelHardware, ...] = ()


@dataclass(frozen=True, slots=True)
class AiTask:
    """A job for an AI worker. Source: lp_rpc.proto NotifyAIJob, go-livepeer core AIJobRequestData."""

    task_id: int
    pipeline: str
    request: bytes  # JSON: an object with the pipeline's own names, where the sender knows what it does
    input_url: str = ""  # where the picture or sound lies, which the request has null for; empty: there is none
