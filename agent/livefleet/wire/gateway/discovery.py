"""Asks an orchestrator what it can do and what it costs, and the further nodes that it names."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from livefleet.kernel import BadInput, OutsideWorld
from livefleet.wire.channel import Endpoint, open_channel, service_endpoint
from livefleet.wire.gateway.payer import Payer
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc

__all__ = ["Discovery", "discover", "end_session", "get_orchestrator", "request_for"]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Who answered, the one that was asked for first, and the nodes that it named."""

    found: tuple[tuple[Endpoint, pb.OrchestratorInfo], ...]
    nodes: tuple[Endpoint, ...]


async def discover(
    endpoint: Endpoint,
    payer: Payer,
    capabilities: pb.Capabilities | None,
    *,
    extra_nodes: int,
    known: Sequence[Endpoint] = (),
    timeout_s: float = 6.0,
) -> Discovery:
    """Ask an orchestrator, and up to `extra_nodes` of the nodes that it names (go-livepeer's `-extraNodes`).

    Nodes of nodes are not followed. Where the orchestrator is away, the `known` nodes are asked. Raises OutsideWorld,
    with the orchestrator's own words, where nobody takes work.
    """
    found: list[tuple[Endpoint, pb.OrchestratorInfo]] = []
    nodes, fault = tuple(known), OutsideWorld(f"{endpoint}: nobody answers")
    try:
        info = await _ask(endpoint, payer, capabilities, timeout_s)
        nodes = _named(info, endpoint)
        found.append((endpoint, _usable(endpoint, info)))
    except OutsideWorld as error:
        fault = error

    async def ask_node(node: Endpoint) -> tuple[Endpoint, pb.OrchestratorInfo] | None:
        try:
            return node, await get_orchestrator(node, payer, capabilities, timeout_s=timeout_s)
        except OutsideWorld:
            return None

    answers = await asyncio.gather(*(ask_node(node) for node in nodes[:extra_nodes]))
    found += [answer for answer in answers if answer is not None]
    if not found:
        raise fault
    return Discovery(tuple(found), nodes)


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
    return _usable(endpoint, await _ask(endpoint, payer, capabilities, timeout_s))


async def _ask(
    endpoint: Endpoint, payer: Payer, capabilities: pb.Capabilities | None, timeout_s: float
) -> pb.OrchestratorInfo:
    request = request_for(payer, capabilities)
    channel = await open_channel(endpoint, timeout_s=timeout_s)
    try:
        info: pb.OrchestratorInfo = await rpc.OrchestratorStub(channel).GetOrchestrator(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise OutsideWorld(f"{endpoint}: {error.details() or error.code().name}") from error
    finally:
        await channel.close(None)
    return info


def _named(info: pb.OrchestratorInfo, endpoint: Endpoint) -> tuple[Endpoint, ...]:
    """The nodes told, each once, without whoever told them."""
    named: dict[Endpoint, None] = {}
    for uri in info.nodes:
        try:
            named[service_endpoint(uri)] = None
        except BadInput:
            continue  # one that nobody could ask
    named.pop(endpoint, None)
    return tuple(named)


def _usable(endpoint: Endpoint, info: pb.OrchestratorInfo) -> pb.OrchestratorInfo:
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
