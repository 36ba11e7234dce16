"""A paying gateway: a client of the wire for tests and smoke checks. Shares no code with the server."""

from livefleet.wire.gateway.ai import AiReport, ask, model_capabilities
from livefleet.wire.gateway.ai_checks import MediaReport
from livefleet.wire.gateway.ai_requests import PIPELINES, AiRequest
from livefleet.wire.gateway.discovery import Discovery, discover, get_orchestrator
from livefleet.wire.gateway.image import text_to_image
from livefleet.wire.gateway.models import ImageReport, RenditionReport, SegmentReport, Spending, StreamReport
from livefleet.wire.gateway.payer import Payer, SpendLimits, TooDear, estimate_units, price_of
from livefleet.wire.gateway.stream import StreamClient

__all__ = [
    "PIPELINES",
    "AiReport",
    "AiRequest",
    "Discovery",
    "ImageReport",
    "MediaReport",
    "Payer",
    "RenditionReport",
    "SegmentReport",
    "SpendLimits",
    "Spending",
    "StreamClient",
    "StreamReport",
    "TooDear",
    "ask",
    "discover",
    "estimate_units",
    "get_orchestrator",
    "model_capabilities",
    "price_of",
    "text_to_image",
]
