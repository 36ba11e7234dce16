"""The header `Livepeer-Segment`: what is asked for, signed by the gateway."""

import base64
from collections.abc import Sequence

from livefleet.chain import keccak256
from livefleet.kernel import to_u256
from livefleet.media import Container, H264Profile, Profile, VideoCodec
from livefleet.wire.gateway.payer import Payer
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.storage import StorageKind, StoreGrant
from livefleet.wire.translate import storage_to_proto

__all__ = ["job_capabilities", "segment_header"]

AUTH_TOKEN = 12
_H264_PROFILE_CAPABILITY = {
    H264Profile.BASELINE: 7,
    H264Profile.MAIN: 8,
    H264Profile.HIGH: 9,
    H264Profile.CONSTRAINED_HIGH: 10,
}
_CODEC_CAPABILITY = {VideoCodec.H264: 0, VideoCodec.H265: 16, VideoCodec.VP8: 19, VideoCodec.VP9: 20}
_STORAGE_CAPABILITY = {StorageKind.S3: 5, StorageKind.GOOGLE: 6}
_FORMATS = {Container.MPEGTS: pb.VideoProfile.MPEGTS, Container.MP4: pb.VideoProfile.MP4}
_PROFILES = {
    H264Profile.DEFAULT: pb.VideoProfile.ENCODER_DEFAULT,
    H264Profile.BASELINE: pb.VideoProfile.H264_BASELINE,
    H264Profile.MAIN: pb.VideoProfile.H264_MAIN,
    H264Profile.HIGH: pb.VideoProfile.H264_HIGH,
    H264Profile.CONSTRAINED_HIGH: pb.VideoProfile.H264_CONSTRAINED_HIGH,
}
_CODECS = {
    VideoCodec.H264: pb.VideoProfile.H264,
    VideoCodec.H265: pb.VideoProfile.H265,
    VideoCodec.VP8: pb.VideoProfile.VP8,
    VideoCodec.VP9: pb.VideoProfile.VP9,
}


def job_capabilities(profiles: Sequence[Profile], *, storage: StorageKind | None = None) -> pb.Capabilities:
    """What a node must be able to do for these renditions of an H.264 source, put into such a store."""
    ids = {AUTH_TOKEN, 0}
    if storage is not None:
        ids.add(_STORAGE_CAPABILITY[storage])
    for profile in profiles:
        ids.add(_CODEC_CAPABILITY[profile.codec])
        ids.add(2 if profile.container is Container.MP4 else 1)
        if profile.fps_den > 1:
            ids.add(3)
        if profile.h264_profile in _H264_PROFILE_CAPABILITY:
            ids.add(_H264_PROFILE_CAPABILITY[profile.h264_profile])
        if profile.gop_ms:
            ids.add(11)
    return pb.Capabilities(bitstring=[sum(1 << i for i in ids)], capacities=dict.fromkeys(ids, 1))


def segment_header(
    payer: Payer,
    *,
    manifest_id: str,
    sequence: int,
    data: bytes,
    profiles: Sequence[Profile],
    duration_ms: int,
    auth_token: pb.AuthToken,
    capabilities: pb.Capabilities,
    storage: StoreGrant | None = None,
) -> str:
    """The signed credentials in base64."""
    digest = keccak256(data)
    flat = manifest_id.encode() + to_u256(sequence) + digest
    flat += "".join(keccak256(p.name.encode())[:4].hex() for p in profiles).encode()
    segment = pb.SegData(
        manifestId=manifest_id.encode(),
        seq=sequence,
        hash=digest,
        profiles=b"invalid",
        sig=payer.sign(flat),
        duration=duration_ms,
        capabilities=capabilities,
        auth_token=auth_token,
        storage=[] if storage is None else [storage_to_proto(storage)],
    )
    wire = [_video_profile(p) for p in profiles]
    if any(p.fps_den > 1 or p.h264_profile is not H264Profile.DEFAULT or p.gop_ms for p in profiles):
        segment.fullProfiles3.extend(wire)
    elif any(p.container is Container.MP4 for p in profiles):
        segment.fullProfiles2.extend(wire)
    else:
        segment.fullProfiles.extend(wire)
    return base64.b64encode(segment.SerializeToString()).decode()


def _video_profile(profile: Profile) -> pb.VideoProfile:
    return pb.VideoProfile(
        name=profile.name,
        width=profile.width,
        height=profile.height,
        bitrate=profile.bitrate,
        fps=profile.fps,
        fpsDen=profile.fps_den if profile.fps_den > 1 else 0,
        format=_FORMATS[profile.container],
        profile=_PROFILES[profile.h264_profile],
        gop=profile.gop_ms,
        encoder=_CODECS[profile.codec],
        quality=profile.quality,
    )
