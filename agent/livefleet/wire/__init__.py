"""What parties say to each other: messages, signatures, tokens, certificates. The wings stand on this."""

from livefleet.wire.auth import AuthToken, AuthTokens
from livefleet.wire.capabilities import WIRE_VERSION, Capabilities, Capability, ModelConstraint
from livefleet.wire.errors import (
    BadCredentials,
    CertificateUnusable,
    FrontDoorClosed,
    MalformedPayment,
    NginxMissing,
    NotWelcome,
    OrchestratorGone,
)
from livefleet.wire.messages import (
    CapabilityPrice,
    OrchestratorInfo,
    OrchestratorRequest,
    SegmentOutcome,
    SessionEnd,
    StoredRendition,
    WorkerTask,
)
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.tls import CertificateFiles
from livefleet.wire.transcoding import LocalTranscoding

__all__ = [
    "WIRE_VERSION",
    "AuthToken",
    "AuthTokens",
    "BadCredentials",
    "Capabilities",
    "Capability",
    "CapabilityPrice",
    "CertificateFiles",
    "CertificateUnusable",
    "FrontDoorClosed",
    "LocalTranscoding",
    "MalformedPayment",
    "ModelConstraint",
    "NginxMissing",
    "NotWelcome",
    "OrchestratorGone",
    "OrchestratorInfo",
    "OrchestratorRequest",
    "SegmentCredentials",
    "SegmentOutcome",
    "SessionEnd",
    "StoredRendition",
    "WorkerTask",
]
