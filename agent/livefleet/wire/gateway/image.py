"""Asks an orchestrator for images, and pays for them."""

import base64
import binascii
import struct
import time
from typing import Any

import httpx

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import Endpoint
from livefleet.wire.gateway.credentials import segment_header
from livefleet.wire.gateway.discovery import get_orchestrator
from livefleet.wire.gateway.models import ImageReport
from livefleet.wire.gateway.payer import Payer, price_of
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["text_to_image"]

TEXT_TO_IMAGE = 27
DEFAULT_CAPABILITIES = (*range(13), 14, 26)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


async def text_to_image(
    endpoint: Endpoint, payer: Payer, request: dict[str, Any], *, timeout_s: float = 300.0
) -> ImageReport:
    """One paid POST /text-to-image. `request` has the wire's JSON names; model_id and prompt are required.

    Raises OutsideWorld with the orchestrator's words, or when what came back is no PNG of the wanted size.
    """
    model_id = str(request["model_id"])
    wanted = {"height": 512, "width": 512, "num_images_per_prompt": 1} | request
    info = await get_orchestrator(endpoint, payer, _capabilities(model_id, with_bits=True))
    units = int(wanted["height"]) * int(wanted["width"]) * int(wanted["num_images_per_prompt"])
    manifest = f"{TEXT_TO_IMAGE}_{model_id}"
    payment, tickets = payer.payment(info, manifest, units)
    headers = {
        "Livepeer-Payment": payment,
        "Livepeer-Segment": segment_header(
            payer,
            manifest_id=manifest,
            sequence=0,
            data=b"",
            profiles=(),
            duration_ms=0,
            auth_token=info.auth_token,
            capabilities=_capabilities(model_id, with_bits=True),
        ),
        "Authorization": "Livepeer-AI-Worker-1.0",
    }
    async with httpx.AsyncClient(http2=True, verify=False, timeout=httpx.Timeout(timeout_s, connect=3.0)) as http:  # noqa: S501 -- self-signed by design
        began = time.monotonic()
        answer = await _post(http, f"{info.transcoder}/text-to-image", wanted, headers)
        round_trip_s = time.monotonic() - began
        payer.settle(manifest, price_of(info), units)
        entries = answer["images"]
        images = [await _fetch(http, str(entry["url"])) for entry in entries]
    sizes = tuple(_png_size(image) for image in images)
    if any(size != (wanted["width"], wanted["height"]) for size in sizes) or len(images) != int(
        wanted["num_images_per_prompt"]
    ):
        raise OutsideWorld(
            f"{len(images)} image(s) of {sizes} came back, asked for {wanted['width']}x{wanted['height']}"
        )
    return ImageReport(
        orchestrator=info.transcoder,
        model_id=model_id,
        price=price_of(info),
        round_trip_s=round_trip_s,
        tickets=tickets,
        images=tuple(images),
        sizes=sizes,
        seeds=tuple(int(entry["seed"]) for entry in entries),
    )


def _capabilities(model_id: str, *, with_bits: bool) -> pb.Capabilities:
    ids = (*DEFAULT_CAPABILITIES, TEXT_TO_IMAGE) if with_bits else ()
    # 14 (MPEG-7 signature) is a default of stock gateways, but only those that verify by it ask for it.
    bits = sum(1 << i for i in ids if i != 14)
    wanted = pb.Capabilities(bitstring=[bits], capacities={TEXT_TO_IMAGE: 1})
    wanted.constraints.PerCapability[TEXT_TO_IMAGE].models[model_id].warm = False
    return wanted


async def _post(http: httpx.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    try:
        answer = await http.post(url, json=body, headers=headers)
    except httpx.HTTPError as error:
        raise OutsideWorld(f"{url}: {error or type(error).__name__}") from error
    if answer.status_code != 200 or "json" not in answer.headers.get("content-type", ""):
        raise OutsideWorld(f"{url}: {answer.status_code} {answer.text.strip()}")
    parsed: dict[str, Any] = answer.json()
    return parsed


async def _fetch(http: httpx.AsyncClient, url: str) -> bytes:
    if url.startswith("data:"):
        try:
            return base64.b64decode(url.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise OutsideWorld("the image's data URL is not base64") from error
    answer = await http.get(url, timeout=4.0)
    if answer.status_code != 200:
        raise OutsideWorld(f"{url}: {answer.status_code} {answer.text.strip()}")
    return answer.content


def _png_size(data: bytes) -> tuple[int, int]:
    if not data.startswith(PNG_MAGIC) or len(data) < 24:
        raise OutsideWorld("what came back is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)
