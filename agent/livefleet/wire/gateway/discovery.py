"""Asks an orchestrator what it can do and what it costs."""

import grpc

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import Endpoint, open_channel
from livefleet.wire.gateway.payer import Payer
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc

__all__ = ["end_session", "get_orchestrator", "request_for"]


def request_for(payer: Payer, capabilities: pb.Capabilities | None) -> pb.OrchestratorRequest:
    """GetOrchestrator's request, signed unless the payer is off-chain."""
    address, signature = payer.request_signature()
    request = pb.OrchestratorRequest(address=address, sig=signature)
    if capabilities is not None:
        request.capabilities.CopyFrom(capabilities)
    return request


async def get_orchestrator(
    endpoint: Endpoint, payer: Payer, capabilities: pb.Capabilities | None, *, timeout_s: float = 6.0
) -> pb.OrchestratorInfo:
    """One GetOrchestrator over a connection of its own. Raises OutsideWorld with the orchestrator's words."""
    request = request_for(payer, capabilities)
    channel = await open_channel(endpoint, timeout_s=timeout_s)
    try:
        info: pb.OrchestratorInfo = await rpc.OrchestratorStub(channel).GetOrchestrator(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise OutsideWorld(f"{endpoint}: {error.details() or error.code().name}") from error
    finally:
        await channel.close(None)
    if not info.transcoder:
        raise OutsideWorld(f"{endpoint}: the orchestrator says it takes no work (no transcoder URI)")
    if not info.HasField("auth_token"):
        raise OutsideWorld(f"{endpoint}: the orchestrator gave no auth token")
    return info


async def end_session(endpoint: Endpoint, token: pb.AuthToken, *, timeout_s: float = 6.0) -> None:
    """Tell the orchestrator that the stream is over."""
    channel = await open_channel(endpoint, timeout_s=timeout_s)
    try:
        request = pb.EndTranscodingSessionRequest(auth_token=token)
        await rpc.OrchestratorStub(channel).EndTranscodingSession(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise OutsideWorld(f"{endpoint}: {error.details() or error.code().name}") from error
    finally:
        await channel.close(None)
