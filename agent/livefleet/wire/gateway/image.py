"""Asks an orchestrator for images, and pays for them."""

from collections.abc import Mapping
from typing import Any

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import Endpoint
from livefleet.wire.gateway.ai import ask
from livefleet.wire.gateway.ai_requests import AiRequest
from livefleet.wire.gateway.models import ImageReport
from livefleet.wire.gateway.payer import Payer

__all__ = ["text_to_image"]


async def text_to_image(
    endpoint: Endpoint, payer: Payer, request: Mapping[str, Any], *, timeout_s: float = 300.0
) -> ImageReport:
    """One paid POST /text-to-image. `request` has the wire's JSON names; model_id and prompt are required.

    Raises OutsideWorld with the orchestrator's words, or when what came back is no PNG of the wanted size.
    """
    fields = {name: value for name, value in request.items() if name != "model_id"}
    asked = AiRequest("text-to-image", str(request["model_id"]), fields)
    report = await ask(endpoint, payer, asked, timeout_s=timeout_s)
    if report.problems:
        raise OutsideWorld("; ".join(report.problems))
    return ImageReport(
        orchestrator=report.orchestrator,
        model_id=report.model_id,
        price=report.price,
        round_trip_s=report.round_trip_s,
        tickets=report.tickets,
        images=tuple(media.data for media in report.media),
        sizes=tuple((media.width, media.height) for media in report.media),
        seeds=tuple(int(entry["seed"]) for entry in report.answer["images"]),
    )
