"""The gRPC services: net.Orchestrator, and net.Transcoder for workers."""

import logging
from typing import Any

import grpc

from livefleet.chain import Signer, checksum_address
from livefleet.kernel import LivefleetError, Refused
from livefleet.wire.messages import SegmentOutcome
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server.admission import Admission
from livefleet.wire.server.backends import RpcHandler
from livefleet.wire.server.counters import Counters
from livefleet.wire.server.http_answers import INTERNAL_ERROR
from livefleet.wire.server.sessions import TranscodingSessions
from livefleet.wire.signing import ping_message
from livefleet.wire.translate import auth_token_from_proto, info_to_proto, request_from_proto

__all__ = ["OrchestratorService"]

log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]


class OrchestratorService:
    """Discovery, the self-check, and the end of sessions. An error is status UNKNOWN with the protocol's text."""

    def __init__(
        self,
        *,
        admission: Admission,
        sessions: TranscodingSessions[SegmentOutcome],
        signer: Signer | None,
        counters: Counters | None = None,
    ) -> None:
        self._counters = counters or Counters()
        self._admission = admission
        self._sessions = sessions
        self._signer = signer

    def handler(self) -> RpcHandler:
        """For the front door's gRPC server."""
        return grpc.method_handlers_generic_handler(
            "net.Orchestrator",
            {
                "GetOrchestrator": grpc.unary_unary_rpc_method_handler(
                    self.get_orchestrator,
                    request_deserializer=pb.OrchestratorRequest.FromString,
                    response_serializer=pb.OrchestratorInfo.SerializeToString,
                ),
                "Ping": grpc.unary_unary_rpc_method_handler(
                    self.ping,
                    request_deserializer=pb.PingPong.FromString,
                    response_serializer=pb.PingPong.SerializeToString,
                ),
                "EndTranscodingSession": grpc.unary_unary_rpc_method_handler(
                    self.end_transcoding_session,
                    request_deserializer=pb.EndTranscodingSessionRequest.FromString,
                    response_serializer=pb.EndTranscodingSessionResponse.SerializeToString,
                ),
            },
        )

    async def get_orchestrator(self, message: pb.OrchestratorRequest, context: _Context) -> pb.OrchestratorInfo:
        """Signature, sessions, webhook, live capacity, price, ticket parameters, in this order."""
        request = request_from_proto(message)
        try:
            await self._admission.check_request(request)
            sender = checksum_address(request.address) if request.address else None
            return info_to_proto(await self._admission.info(sender, needs=request.capabilities))
        except Refused as error:
            self._counters.refuse("discovery", error)
            log.info("get_orchestrator.refused", extra={"error": error.text})
            await context.abort(grpc.StatusCode.UNKNOWN, error.text)
            raise  # abort raises already
        except (LivefleetError, ValueError) as error:
            if isinstance(error, LivefleetError):
                self._counters.refuse("discovery", error)
            # Our own trouble may name endpoints and files: it is told to the operator, not to whoever asks.
            log.warning("get_orchestrator.failed", extra={"error": str(error)})
            await context.abort(grpc.StatusCode.UNKNOWN, INTERNAL_ERROR)
            raise

    async def ping(self, message: pb.PingPong, context: _Context) -> pb.PingPong:
        """Prove that this is us; empty off-chain."""
        signature = b"" if self._signer is None else await self._signer.sign(ping_message(message.value))
        return pb.PingPong(value=signature)

    async def end_transcoding_session(
        self, message: pb.EndTranscodingSessionRequest, context: _Context
    ) -> pb.EndTranscodingSessionResponse:
        """Whoever holds a token of ours, expired or not, may end its session."""
        token = auth_token_from_proto(message.auth_token) if message.HasField("auth_token") else None
        if token is None or not self._admission.owns(token):
            await context.abort(grpc.StatusCode.UNKNOWN, "Invalid auth token")
            raise AssertionError("abort raises")
        await self._sessions.end(self._admission.place_of(token))
        return pb.EndTranscodingSessionResponse()
