"""The AI half of the worker split: registration, jobs, hardware."""

import json
from collections.abc import Iterable

from livefleet.ai import json_object
from livefleet.wire.ai_hardware import GpuInfo, ModelHardware
from livefleet.wire.ai_messages import AiRegistration, AiTask
from livefleet.wire.capabilities import DEFAULT_CAPABILITIES, Capabilities
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate.capabilities import capabilities_from_proto, capabilities_to_proto

__all__ = [
    "ai_task_from_proto",
    "ai_task_to_proto",
    "hardware_from_proto",
    "hardware_to_proto",
    "registration_from_proto",
    "registration_to_proto",
]


def registration_from_proto(message: pb.RegisterAIWorkerRequest) -> AiRegistration:
    """Who wants to join; one that does not tell its capabilities has the default ones, and so no models."""
    return AiRegistration(
        secret=message.secret,
        capabilities=capabilities_from_proto(message.capabilities)
        if message.HasField("capabilities")
        else Capabilities.of(DEFAULT_CAPABILITIES),
        hardware=hardware_from_proto(message.hardware),
    )


def registration_to_proto(registration: AiRegistration) -> pb.RegisterAIWorkerRequest:
    """What a worker says first."""
    return pb.RegisterAIWorkerRequest(
        secret=registration.secret,
        capabilities=capabilities_to_proto(registration.capabilities),
        hardware=hardware_to_proto(registration.hardware),
    )


def ai_task_to_proto(task: AiTask) -> pb.NotifyAIJob:
    """What goes down a worker's stream."""
    data = b'{"input_url":%s,"request":%s}' % (json.dumps(task.input_url).encode(), task.request)
    return pb.NotifyAIJob(taskId=task.task_id, AIJobData=pb.AIJobData(pipeline=task.pipeline, requestData=data))


def ai_task_from_proto(message: pb.NotifyAIJob) -> AiTask:
    """What came down the stream. Raises ValueError for a job that cannot be read."""
    data = json_object(message.AIJobData.requestData)
    url = data.get("input_url") or ""
    if not isinstance(url, str):
        raise ValueError("`input_url` is no text")  # noqa: TRY004 -- likewise
    request = json.dumps(data.get("request")).encode()
    return AiTask(task_id=message.taskId, pipeline=message.AIJobData.pipeline, request=request, input_url=url)


def hardware_from_proto(entries: Iterable[pb.HardwareInformation]) -> tuple[ModelHardware, ...]:
    """As a peer tells it."""
    return tuple(
        ModelHardware(
            entry.pipeline,
            entry.model_id,
            {
                place: GpuInfo(gpu.id, gpu.name, gpu.major, gpu.minor, gpu.memory_free, gpu.memory_total)
                for place, gpu in entry.gpu_info.items()
            },
        )
        for entry in entries
    )


def hardware_to_proto(entries: Iterable[ModelHardware]) -> list[pb.HardwareInformation]:
    """For a registration or an answer."""
    return [
        pb.HardwareInformation(
            pipeline=entry.pipeline,
            model_id=entry.model_id,
            gpu_info={
                place: pb.GPUComputeInfo(
                    id=gpu.id,
                    name=gpu.name,
                    major=gpu.major,
                    minor=gpu.minor,
                    memory_free=gpu.memory_free,
                    memory_total=gpu.memory_total,
                )
                for place, gpu in entry.gpus.items()
            },
        )
        for entry in entries
    ]
