"""Between protobuf and inside types. Generated messages stay within this package; nothing else reads their fields."""

import base64
from collections.abc import Sequence
from fractions import Fraction

from google.protobuf.message import DecodeError

from livefleet.chain import checksum_address
from livefleet.kernel import BlockNumber, Pixels, Round, SessionId, Wei, WinProb, from_min_bytes, to_min_bytes
from livefleet.media import Container, H264Profile, Profile, VideoCodec
from livefleet.payments import ReceivedPayment, SenderSignature, TicketExpiration, TicketParams
from livefleet.wire.auth import AuthToken
from livefleet.wire.capabilities import Capabilities, ModelConstraint, from_words
from livefleet.wire.errors import BadCredentials, MalformedPayment
from livefleet.wire.messages import (
    CapabilityPrice,
    OrchestratorInfo,
    OrchestratorRequest,
    SegmentOutcome,
    SessionEnd,
    StoredRendition,
    WorkerTask,
)
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.segment import SegmentCredentials

__all__ = [
    "auth_token_from_proto",
    "auth_token_to_proto",
    "capabilities_from_proto",
    "capabilities_to_proto",
    "info_from_proto",
    "info_to_payment_result",
    "info_to_proto",
    "outcome_from_proto",
    "outcome_to_proto",
    "payment_from_header",
    "payment_from_proto",
    "payment_to_header",
    "payment_to_proto",
    "profile_from_proto",
    "profile_to_proto",
    "request_from_proto",
    "request_to_proto",
    "segment_from_header",
    "segment_from_proto",
    "segment_to_header",
    "segment_to_proto",
    "task_from_proto",
    "task_to_proto",
    "ticket_params_from_proto",
    "ticket_params_to_proto",
]

_MAX_INT64 = 2**63 - 1
_MAX_DURATION_MS = 300_000
_MAX_PROFILES = 100  # each costs a hash before anybody has paid; transcoders take ten
_COUNTED_WORDS = 16  # of a bit string, so 1,024 ids; 38 are known
_UNUSED_PROFILES = b"invalid"  # what modern senders put in the field that nobody reads


# Requests and answers ------------------------------------------------------------------------------------------------


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
        price_info=None if info.price is None else _price_to_proto(info.price),
        ticket_params=None if info.ticket_params is None else ticket_params_to_proto(info.ticket_params),
        capabilities_prices=[
            pb.PriceInfo(
                pricePerUnit=min(entry.price, _MAX_INT64),
                pixelsPerUnit=1,
                capability=entry.capability,
                constraint=entry.model_id,
            )
            for entry in info.capability_prices
        ],
        nodes=info.nodes,
    )


def info_from_proto(message: pb.OrchestratorInfo) -> OrchestratorInfo:
    """GetOrchestrator's answer; a price that is no price reads as none."""
    return OrchestratorInfo(
        transcoder=message.transcoder,
        address=message.address,
        capabilities=capabilities_from_proto(message.capabilities) if message.HasField("capabilities") else None,
        auth_token=auth_token_from_proto(message.auth_token) if message.HasField("auth_token") else None,
        price=_price_from_proto(message.price_info) if message.HasField("price_info") else None,
        ticket_params=ticket_params_from_proto(message.ticket_params) if message.HasField("ticket_params") else None,
        capability_prices=tuple(
            CapabilityPrice(entry.capability, entry.constraint, int(price))
            for entry in message.capabilities_prices
            if (price := _price_from_proto(entry)) is not None
        ),
        nodes=tuple(message.nodes),
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
                segments=[pb.TranscodedSegmentData(url=r.url, pixels=r.pixels) for r in outcome.renditions],
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
                renditions=tuple(StoredRendition(s.url, Pixels(s.pixels)) for s in message.data.segments),
                signature=message.data.sig,
            )
        case "error":
            return SegmentOutcome(message.seq, info, error=message.error)
        case _:
            return SegmentOutcome(message.seq, info, error="UnknownResponse")


def auth_token_from_proto(message: pb.AuthToken) -> AuthToken:
    """As received, not yet checked."""
    return AuthToken(message.token, SessionId(message.session_id), message.expiration)


def auth_token_to_proto(token: AuthToken) -> pb.AuthToken:
    """For an answer or credentials."""
    return pb.AuthToken(token=token.token, session_id=token.session, expiration=token.expiration)


# Capabilities --------------------------------------------------------------------------------------------------------


def capabilities_from_proto(message: pb.Capabilities) -> Capabilities:
    """As received; an empty capacities map means 1 for every set bit.

    Ids that no node will ever have get no capacity: a message of megabytes would else cost gigabytes.
    """
    capacities = {c: n for c, n in message.capacities.items() if c < 64 * _COUNTED_WORDS}
    if not message.capacities:
        capacities = dict.fromkeys(sorted(from_words(message.bitstring[:_COUNTED_WORDS])), 1)
    return Capabilities(
        words=tuple(message.bitstring),
        mandatories=tuple(message.mandatories),
        capacities=capacities,
        version=message.version,
        min_version=message.constraints.minVersion,
        models={
            capability: {
                model_id: ModelConstraint(model.warm, model.capacity, model.runnerVersion, model.capacityInUse)
                for model_id, model in constraints.models.items()
            }
            for capability, constraints in message.constraints.PerCapability.items()
        },
    )


def capabilities_to_proto(capabilities: Capabilities) -> pb.Capabilities:
    """For an answer, credentials or a registration."""
    return pb.Capabilities(
        bitstring=capabilities.words,
        mandatories=capabilities.mandatories,
        capacities=dict(capabilities.capacities),
        version=capabilities.version,
        constraints=pb.Capabilities.Constraints(
            minVersion=capabilities.min_version,
            PerCapability={
                capability: pb.Capabilities.CapabilityConstraints(
                    models={
                        model_id: pb.Capabilities.CapabilityConstraints.ModelConstraint(
                            warm=model.warm,
                            capacity=model.capacity,
                            runnerVersion=model.runner_version,
                            capacityInUse=model.capacity_in_use,
                        )
                        for model_id, model in models.items()
                    }
                )
                for capability, models in capabilities.models.items()
            },
        ),
    )


# Payments ------------------------------------------------------------------------------------------------------------


def payment_from_header(header: str) -> ReceivedPayment:
    """The header `Livepeer-Payment`. Raises MalformedPayment (402)."""
    try:
        raw = base64.b64decode(header, validate=True)
    except ValueError as error:  # also for characters that are not ASCII
        raise MalformedPayment(f"base64 decode error: {error}") from error
    try:
        return payment_from_proto(pb.Payment.FromString(raw))
    except (DecodeError, ValueError) as error:
        raise MalformedPayment(f"protobuf unmarshal error: {error}") from error


def payment_from_proto(message: pb.Payment) -> ReceivedPayment:
    """As received, not yet checked. Raises ValueError for numbers that no ticket can hold."""
    expiration = _expiration_from_proto(message.expiration_params)
    return ReceivedPayment(
        sender=checksum_address(message.sender) if message.sender else None,
        ticket_params=ticket_params_from_proto(message.ticket_params) if message.HasField("ticket_params") else None,
        expiration=expiration,
        tickets=tuple(SenderSignature(t.sender_nonce, t.sig) for t in message.ticket_sender_params),
        price_per_unit=message.expected_price.pricePerUnit if message.HasField("expected_price") else None,
        pixels_per_unit=message.expected_price.pixelsPerUnit,
    )


def payment_to_header(payment: ReceivedPayment) -> str:
    """The header `Livepeer-Payment`; empty where there is nothing to say."""
    return base64.b64encode(payment_to_proto(payment).SerializeToString()).decode()


def payment_to_proto(payment: ReceivedPayment) -> pb.Payment:
    """A gateway's payment. The expiration stands outside of the ticket params, as gateways write it."""
    message = pb.Payment(
        sender=b"" if payment.sender is None else _address_bytes(payment.sender),
        ticket_sender_params=[pb.TicketSenderParams(sender_nonce=t.nonce, sig=t.signature) for t in payment.tickets],
    )
    if payment.ticket_params is not None:
        message.ticket_params.CopyFrom(ticket_params_to_proto(payment.ticket_params))
        message.ticket_params.ClearField("expiration_params")
        message.expiration_params.CopyFrom(_expiration_to_proto(payment.expiration))
    if payment.price_per_unit is not None:
        message.expected_price.pricePerUnit = payment.price_per_unit
        message.expected_price.pixelsPerUnit = payment.pixels_per_unit
    return message


def ticket_params_from_proto(message: pb.TicketParams) -> TicketParams:
    """Raises ValueError for a number of more than 32 bytes."""
    return TicketParams(
        recipient=checksum_address(message.recipient),
        face_value=Wei(_number(message.face_value, "face_value")),
        win_prob=WinProb(_number(message.win_prob, "win_prob")),
        recipient_rand_hash=_hash(message.recipient_rand_hash),
        seed=_number(message.seed, "seed"),
        expiration_block=BlockNumber(_number(message.expiration_block, "expiration_block")),
        expiration=_expiration_from_proto(message.expiration_params),
    )


def ticket_params_to_proto(params: TicketParams) -> pb.TicketParams:
    """For an OrchestratorInfo."""
    return pb.TicketParams(
        recipient=_address_bytes(params.recipient),
        face_value=to_min_bytes(params.face_value),
        win_prob=to_min_bytes(params.win_prob),
        recipient_rand_hash=params.recipient_rand_hash,
        seed=to_min_bytes(params.seed),
        expiration_block=to_min_bytes(params.expiration_block),
        expiration_params=_expiration_to_proto(params.expiration),
    )


def _expiration_from_proto(message: pb.TicketExpirationParams) -> TicketExpiration:
    if message.creation_round < 0:
        raise ValueError(f"creation_round {message.creation_round} is negative")
    return TicketExpiration(Round(message.creation_round), _hash(message.creation_round_block_hash))


def _expiration_to_proto(expiration: TicketExpiration) -> pb.TicketExpirationParams:
    return pb.TicketExpirationParams(
        creation_round=expiration.creation_round, creation_round_block_hash=expiration.creation_round_block_hash
    )


def _price_to_proto(price: Fraction) -> pb.PriceInfo:
    """Lowest terms, or floored to whole wei where they do not fit int64. Raises ValueError where that fails too."""
    if price.numerator <= _MAX_INT64 and price.denominator <= _MAX_INT64:
        return pb.PriceInfo(pricePerUnit=price.numerator, pixelsPerUnit=price.denominator)
    if int(price) > _MAX_INT64:
        raise ValueError("price cannot be converted to int64")
    return pb.PriceInfo(pricePerUnit=int(price), pixelsPerUnit=1)


def _price_from_proto(message: pb.PriceInfo) -> Fraction | None:
    if message.pixelsPerUnit <= 0 or message.pricePerUnit < 0:
        return None
    return Fraction(message.pricePerUnit, message.pixelsPerUnit)


# Segments ------------------------------------------------------------------------------------------------------------


def segment_from_header(header: str) -> SegmentCredentials:
    """The header `Livepeer-Segment`, not yet checked. Raises BadCredentials (403)."""
    try:
        raw = base64.b64decode(header, validate=True)
    except ValueError as error:  # also for characters that are not ASCII
        raise BadCredentials("ErrorSegEncoding") from error
    try:
        message = pb.SegData.FromString(raw)
    except DecodeError as error:
        raise BadCredentials(str(error)) from error
    return segment_from_proto(message)


def segment_to_header(credentials: SegmentCredentials) -> str:
    """The header `Livepeer-Segment`."""
    return base64.b64encode(segment_to_proto(credentials).SerializeToString()).decode()


def segment_from_proto(message: pb.SegData) -> SegmentCredentials:
    """Raises BadCredentials with the protocol's text for profiles and durations that are none."""
    if not 0 <= message.duration <= _MAX_DURATION_MS:
        raise BadCredentials("invalid duration")
    profiles = message.fullProfiles3 or message.fullProfiles2 or message.fullProfiles
    if len(profiles) > _MAX_PROFILES:
        raise BadCredentials("Too many outputs")
    clipped = message.HasField("segment_parameters")
    return SegmentCredentials(
        manifest_id=message.manifestId,
        sequence=message.seq,
        source_hash=_hash(message.hash),
        profiles=tuple(profile_from_proto(profile) for profile in profiles),
        duration_ms=message.duration or 2000,
        capabilities=capabilities_from_proto(message.capabilities) if message.HasField("capabilities") else None,
        auth_token=auth_token_from_proto(message.auth_token) if message.HasField("auth_token") else None,
        signature=message.sig,
        # `from` is a word of Python's own
        clip_from_ms=getattr(message.segment_parameters, "from") if clipped else None,
        clip_to_ms=message.segment_parameters.to if clipped else None,
        force_session_reinit=message.ForceSessionReinit,
    )


def segment_to_proto(credentials: SegmentCredentials) -> pb.SegData:
    """Credentials as modern senders write them."""
    message = pb.SegData(
        manifestId=credentials.manifest_id,
        seq=credentials.sequence,
        hash=credentials.source_hash,
        profiles=_UNUSED_PROFILES,
        sig=credentials.signature,
        duration=credentials.duration_ms,
        capabilities=None if credentials.capabilities is None else capabilities_to_proto(credentials.capabilities),
        auth_token=None if credentials.auth_token is None else auth_token_to_proto(credentials.auth_token),
        ForceSessionReinit=credentials.force_session_reinit,
    )
    if credentials.clip_from_ms is not None or credentials.clip_to_ms is not None:
        setattr(message.segment_parameters, "from", credentials.clip_from_ms or 0)
        message.segment_parameters.to = credentials.clip_to_ms or 0
    getattr(message, _profiles_field(credentials.profiles)).extend(
        profile_to_proto(profile) for profile in credentials.profiles
    )
    return message


def _profiles_field(profiles: Sequence[Profile]) -> str:
    """Which of the three fields the oldest reader that can do the job knows."""
    if any(p.fps_den > 1 or p.h264_profile is not H264Profile.DEFAULT or p.gop_ms for p in profiles):
        return "fullProfiles3"
    return "fullProfiles2" if any(p.container is Container.MP4 for p in profiles) else "fullProfiles"


_CONTAINERS = {pb.VideoProfile.MPEGTS: Container.MPEGTS, pb.VideoProfile.MP4: Container.MP4}
_H264_PROFILES = {
    pb.VideoProfile.ENCODER_DEFAULT: H264Profile.DEFAULT,
    pb.VideoProfile.H264_BASELINE: H264Profile.BASELINE,
    pb.VideoProfile.H264_MAIN: H264Profile.MAIN,
    pb.VideoProfile.H264_HIGH: H264Profile.HIGH,
    pb.VideoProfile.H264_CONSTRAINED_HIGH: H264Profile.CONSTRAINED_HIGH,
}
_CODECS = {
    pb.VideoProfile.H264: VideoCodec.H264,
    pb.VideoProfile.H265: VideoCodec.H265,
    pb.VideoProfile.VP8: VideoCodec.VP8,
    pb.VideoProfile.VP9: VideoCodec.VP9,
}
_CONTAINERS_BACK = {inside: number for number, inside in _CONTAINERS.items()}
_H264_PROFILES_BACK = {inside: number for number, inside in _H264_PROFILES.items()}
_CODECS_BACK = {inside: number for number, inside in _CODECS.items()}


def profile_from_proto(message: pb.VideoProfile) -> Profile:
    """Raises BadCredentials for unknown enum values."""
    if message.format not in _CONTAINERS:
        raise BadCredentials("unrecognized profile output format")
    if message.profile not in _H264_PROFILES:
        raise BadCredentials("unrecognized encoder profile")
    if message.encoder not in _CODECS:
        raise BadCredentials("unrecognized video codec")
    return Profile(
        name=message.name or f"net_{message.width}x{message.height}_{message.bitrate}",
        width=message.width,
        height=message.height,
        bitrate=message.bitrate,
        fps=message.fps,
        fps_den=message.fpsDen or 1,
        gop_ms=message.gop,
        container=_CONTAINERS[message.format],
        h264_profile=_H264_PROFILES[message.profile],
        codec=_CODECS[message.encoder],
        quality=message.quality,
    )


def profile_to_proto(profile: Profile) -> pb.VideoProfile:
    """A denominator of 1 is left out, as gateways do."""
    return pb.VideoProfile(
        name=profile.name,
        width=profile.width,
        height=profile.height,
        bitrate=profile.bitrate,
        fps=profile.fps,
        fpsDen=0 if profile.fps_den == 1 else profile.fps_den,
        gop=profile.gop_ms,
        format=_CONTAINERS_BACK[profile.container],
        profile=_H264_PROFILES_BACK[profile.h264_profile],
        encoder=_CODECS_BACK[profile.codec],
        quality=profile.quality,
    )


# Workers -------------------------------------------------------------------------------------------------------------


def task_to_proto(task: WorkerTask | SessionEnd) -> pb.NotifySegment:
    """What goes down a worker's stream."""
    if isinstance(task, SessionEnd):
        return pb.NotifySegment(segData=pb.SegData(auth_token=pb.AuthToken(session_id=task.session)))
    return pb.NotifySegment(
        url=task.url,
        taskId=task.task_id,
        orchId=task.orchestrator_id,
        segData=segment_to_proto(task.credentials),
        profiles=_UNUSED_PROFILES,
    )


def task_from_proto(message: pb.NotifySegment) -> WorkerTask | SessionEnd:
    """What came down the stream. Raises BadCredentials for a job that cannot be read."""
    if not message.url:
        return SessionEnd(message.segData.auth_token.session_id)
    return WorkerTask(
        task_id=message.taskId,
        url=message.url,
        credentials=segment_from_proto(message.segData),
        orchestrator_id=message.orchId or "offchain",
    )


def _number(raw: bytes, field: str) -> int:
    if len(raw) > 32:
        raise ValueError(f"{field} has more than 32 bytes")
    return from_min_bytes(raw)


def _hash(raw: bytes) -> bytes:
    return raw[-32:].rjust(32, b"\0")


def _address_bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))
