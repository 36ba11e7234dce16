"""Segment credentials, and the workers" tasks that carry them."""

import base64
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from livefleet.media import Container, H264Profile, Profile
from livefleet.wire.errors import BadCredentials
from livefleet.wire.messages import (
    SessionEnd,
    WorkerTask,
)
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.translate.capabilities import capabilities_from_proto, capabilities_to_proto
from livefleet.wire.translate.payments import fixed_hash
from livefleet.wire.translate.profiles import profile_from_proto, profile_to_proto
from livefleet.wire.translate.storage import storage_from_proto, storage_to_proto
from livefleet.wire.translate.tokens import auth_token_from_proto, auth_token_to_proto

__all__ = [
    "segment_from_header",
    "segment_from_proto",
    "segment_to_header",
    "segment_to_proto",
    "task_from_proto",
    "task_to_proto",
]

_MAX_DURATION_MS = 300_000
_MAX_PROFILES = 100  # each costs a hash before anybody has paid; transcoders take ten
_UNUSED_PROFILES = b"invalid"  # what modern senders put in the field that nobody reads


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
        source_hash=fixed_hash(message.hash),
        profiles=tuple(profile_from_proto(profile) for profile in profiles),
        duration_ms=message.duration or 2000,
        capabilities=capabilities_from_proto(message.capabilities) if message.HasField("capabilities") else None,
        auth_token=auth_token_from_proto(message.auth_token) if message.HasField("auth_token") else None,
        signature=message.sig,
        # `from` is a word of Python's own
        clip_from_ms=getattr(message.segment_parameters, "from") if clipped else None,
        clip_to_ms=message.segment_parameters.to if clipped else None,
        force_session_reinit=message.ForceSessionReinit,
        calc_perceptual_hash=message.calc_perceptual_hash,
        storage=storage_from_proto(message.storage[0]) if message.storage else None,
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
        calc_perceptual_hash=credentials.calc_perceptual_hash,
        storage=[] if credentials.storage is None else [storage_to_proto(credentials.storage)],
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
