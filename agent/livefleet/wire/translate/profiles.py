"""Rendition profiles."""

from livefleet.media import Container, H264Profile, Profile, VideoCodec
from livefleet.wire.errors import BadCredentials
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["profile_from_proto", "profile_to_proto"]

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
