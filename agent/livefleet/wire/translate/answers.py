"""Discovery, and what a gateway is told in return for work or payment."""

from livefleet.kernel import Pixels
from livefleet.wire.messages import (
    CapabilityPrice,
    OrchestratorInfo,
    OrchestratorRequest,
    SegmentOutcome,
    StoredRendition,
)
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate.capabilities import capabilities_from_proto, capabilities_to_proto
from livefleet.wire.translate.payments import (
    MAX_INT64,
    price_from_proto,
    price_to_proto,
    ticket_params_from_proto,
    ticket_params_to_proto,
)
from livefleet.wire.translate.storage import storage_from_proto, storage_to_proto
from livefleet.wire.translate.tokens import auth_token_from_proto, auth_token_to_proto
from livefleet.wire.translate.workers import hardware_from_proto, hardware_to_proto

__all__ = [
    "info_from_proto",
    "info_to_payment_result",
    "info_to_proto",
    "outcome_from_proto",
    "outcome_to_proto",
    "request_from_proto",
    "request_to_proto",
]


def request_from_proto(message: pb.OrchestratorRequest) -> OrchestratorRequest:
    """GetOrchestrator's request."""
    return OrchestratorRequest(
        address=message.address,
        signature=message.sig,
        capabilities=capabilities_from_proto(message.capabilities) if message.HasField("capabilities") else None,
        ignore_capacity_check=message.ignoreCapacityCheck,
    )


def request_to_proto(request: OrchestratorRequest) -> pb.OrchestratorRequest:
    """GetOrchestrator's request."""
    return pb.OrchestratorRequest(
        address=request.address,
        sig=request.signature,
        capabilities=None if request.capabilities is None else capabilities_to_proto(request.capabilities),
        ignoreCapacityCheck=request.ignore_capacity_check,
    )


def info_to_proto(info: OrchestratorInfo) -> pb.OrchestratorInfo:
    """GetOrchestrator's answer, also part of every result."""
    return pb.OrchestratorInfo(
        transcoder=info.transcoder,
        address=info.address,
        capabilities=None if info.capabilities is None else capabilities_to_proto(info.capabilities),
        auth_token=None if info.auth_token is None else auth_token_to_proto(info.auth_token),
        price_info=None if info.price is None else price_to_proto(info.price),
        ticket_params=None if info.ticket_params is None else ticket_params_to_proto(info.ticket_params),
        capabilities_prices=[
            pb.PriceInfo(
                pricePerUnit=min(entry.price, MAX_INT64),
                pixelsPerUnit=1,
                capability=entry.capability,
                constraint=entry.model_id,
            )
            for entry in info.capability_prices
        ],
        nodes=info.nodes,
        hardware=hardware_to_proto(info.hardware),
        storage=[storage_to_proto(grant) for grant in info.storage],
    )


def info_from_proto(message: pb.OrchestratorInfo) -> OrchestratorInfo:
    """GetOrchestrator's answer; a price that is no price reads as none."""
    return OrchestratorInfo(
        transcoder=message.transcoder,
        address=message.address,
        capabilities=capabilities_from_proto(message.capabilities) if message.HasField("capabilities") else None,
        auth_token=auth_token_from_proto(message.auth_token) if message.HasField("auth_token") else None,
        price=price_from_proto(message.price_info) if message.HasField("price_info") else None,
        ticket_params=ticket_params_from_proto(message.ticket_params) if message.HasField("ticket_params") else None,
        capability_prices=tuple(
            CapabilityPrice(entry.capability, entry.constraint, int(price))
            for entry in message.capabilities_prices
            if (price := price_from_proto(entry)) is not None
        ),
        nodes=tuple(message.nodes),
        hardware=hardware_from_proto(message.hardware),
        storage=tuple(grant for entry in message.storage if (grant := storage_from_proto(entry)) is not None),
    )


def info_to_payment_result(info: OrchestratorInfo) -> pb.PaymentResult:
    """The body of POST /payment."""
    return pb.PaymentResult(info=info_to_proto(info))


def outcome_to_proto(outcome: SegmentOutcome) -> pb.TranscodeResult:
    """The body of POST /segment."""
    message = pb.TranscodeResult(
        seq=outcome.sequence, info=None if outcome.info is None else info_to_proto(outcome.info)
    )
    if outcome.error is not None:
        message.error = outcome.error
    else:
        message.data.CopyFrom(
            pb.TranscodeData(
                segments=[
                    pb.TranscodedSegmentData(url=r.url, pixels=r.pixels, perceptual_hash_url=r.perceptual_hash_url)
                    for r in outcome.renditions
                ],
                sig=outcome.signature,
            )
        )
    return message


def outcome_from_proto(message: pb.TranscodeResult) -> SegmentOutcome:
    """The body of POST /segment; neither data nor error reads as the error `UnknownResponse`."""
    info = info_from_proto(message.info) if message.HasField("info") else None
    match message.WhichOneof("result"):
        case "data":
            return SegmentOutcome(
                message.seq,
                info,
                renditions=tuple(
                    StoredRendition(s.url, Pixels(s.pixels), s.perceptual_hash_url) for s in message.data.segments
                ),
                signature=message.data.sig,
            )
        case "error":
            return SegmentOutcome(message.seq, info, error=message.error)
        case _:
            return SegmentOutcome(message.seq, info, error="UnknownResponse")
