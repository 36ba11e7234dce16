"""Asks an orchestrator for AI work, pays for it, and looks at what comes back."""

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import httpx

from livefleet.ai.parsing import json_object
from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import Endpoint
from livefleet.wire.gateway.ai_checks import MediaReport, check_answer, check_chunks, describe
from livefleet.wire.gateway.ai_requests import AiRequest
from livefleet.wire.gateway.credentials import segment_header
from livefleet.wire.gateway.discovery import get_orchestrator
from livefleet.wire.gateway.payer import Payer, price_of
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["AiReport", "ask", "model_capabilities"]

_DEFAULT_CAPABILITIES = (*range(13), 14, 26)
_MPEG7_SIGNATURE = 14
_FETCH_S = 4.0  # the reference's whole limit for one file


@dataclass(frozen=True, slots=True)
class AiReport:
    """One request there and back."""

    orchestrator: str
    pipeline: str
    model_id: str
    price: Fraction | None  # wei per unit
    units: int
    tickets: int
    round_trip_s: float  # until the answer's last byte, files not fetched yet
    first_byte_s: float  # until its first chunk, or its first byte
    answer: Mapping[str, Any]  # the JSON; empty for a stream
    chunks: tuple[Mapping[str, Any], ...]  # of a stream
    media: tuple[MediaReport, ...]  # in the order of the answer
    problems: tuple[str, ...]  # empty: it is what was asked for

    @property
    def text(self) -> str:
        """The words of the answer, where it has any."""
        if self.chunks:
            return "".join(str(c["choices"][0].get("delta", {}).get("content") or "") for c in self.chunks)
        if self.pipeline == "llm":
            return str(self.answer["choices"][0]["message"]["content"])
        return str(self.answer.get("text", ""))


async def ask(endpoint: Endpoint, payer: Payer, request: AiRequest, *, timeout_s: float = 300.0) -> AiReport:
    """One paid request. Raises OutsideWorld with the orchestrator's words, BadInput for one that cannot be made."""
    units = request.units()
    info = await get_orchestrator(endpoint, payer, model_capabilities(request))
    payment, tickets = payer.payment(info, request.manifest_id, units)
    headers = {
        "Livepeer-Payment": payment,
        "Livepeer-Segment": segment_header(
            payer,
            manifest_id=request.manifest_id,
            sequence=0,
            data=b"",
            profiles=(),
            duration_ms=0,
            auth_token=info.auth_token,
            capabilities=model_capabilities(request),
        ),
        "Authorization": "Livepeer-AI-Worker-1.0",
    }
    async with httpx.AsyncClient(http2=True, verify=False, timeout=httpx.Timeout(timeout_s, connect=3.0)) as http:  # noqa: S501 -- self-signed by design
        began = time.monotonic()
        body = await asyncio.to_thread(request.body)
        async with _posted(http, f"{info.transcoder}/{request.pipeline}", body, headers) as reply:
            chunks, answer, first_at = await (_stream(reply) if request.streams else _whole(reply))
        ended = time.monotonic()
        payer.settle(request.manifest_id, price_of(info), units)
        media = [await asyncio.to_thread(describe, url, await _fetch(http, url)) for url in _urls(answer)]
    problems = check_chunks(chunks) if request.streams else check_answer(request, answer, media)
    return AiReport(
        orchestrator=info.transcoder,
        pipeline=request.pipeline,
        model_id=request.model_id,
        price=price_of(info),
        units=units,
        tickets=tickets,
        round_trip_s=ended - began,
        first_byte_s=first_at - began,
        answer=answer,
        chunks=tuple(chunks),
        media=tuple(media),
        problems=tuple(problems),
    )


def model_capabilities(request: AiRequest) -> pb.Capabilities:
    """What a node must have for it, as stock gateways write it: warm or cold."""
    capability = request.form.capability
    # The MPEG-7 signature is a default of stock gateways, but only those that verify by it ask for it.
    bits = sum(1 << i for i in (*_DEFAULT_CAPABILITIES, capability) if i != _MPEG7_SIGNATURE)
    wanted = pb.Capabilities(bitstring=[bits], capacities={capability: 1})
    wanted.constraints.PerCapability[capability].models[request.model_id].warm = False
    return wanted


@asynccontextmanager
async def _posted(
    http: httpx.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]
) -> AsyncIterator[httpx.Response]:
    try:
        async with http.stream("POST", url, headers=headers, **body) as reply:
            if reply.status_code != 200:
                await reply.aread()
                raise OutsideWorld(f"{url}: {reply.status_code} {reply.text.strip()}")
            yield reply
    except httpx.HTTPError as error:
        raise OutsideWorld(f"{url}: {error or type(error).__name__}") from error


async def _whole(reply: httpx.Response) -> tuple[list[Mapping[str, Any]], Mapping[str, Any], float]:
    content, first_at = b"", 0.0
    async for piece in reply.aiter_bytes():
        first_at = first_at or time.monotonic()
        content += piece
    kind = reply.headers.get("content-type", "")
    try:
        answer = json_object(content)
    except ValueError as error:
        raise OutsideWorld(f"{reply.url}: 200 and {kind or 'no type'}, but {error}") from error
    if "json" not in kind:
        raise OutsideWorld(f"{reply.url}: 200, but {kind or 'no type'} and not JSON")
    return [], answer, first_at


async def _stream(reply: httpx.Response) -> tuple[list[Mapping[str, Any]], Mapping[str, Any], float]:
    chunks: list[Mapping[str, Any]] = []
    first_at = 0.0
    async for line in reply.aiter_lines():
        if not line.startswith("data:"):
            continue
        first_at = first_at or time.monotonic()
        try:
            chunks.append(json_object(line.removeprefix("data:").encode()))
        except ValueError as error:
            raise OutsideWorld(f"{reply.url}: a chunk is no JSON object: {line[:80]}") from error
    return chunks, {}, first_at or time.monotonic()


def _urls(answer: Any) -> Iterator[str]:
    """Every file that an answer names, in its order."""
    if isinstance(answer, Mapping):
        for key, value in answer.items():
            if key == "url" and isinstance(value, str):
                yield value
            else:
                yield from _urls(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from _urls(value)


async def _fetch(http: httpx.AsyncClient, url: str) -> bytes:
    if url.startswith("data:"):
        try:
            return base64.b64decode(url.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise OutsideWorld("a file's data URL is not base64") from error
    try:
        async with asyncio.timeout(_FETCH_S):
            answer = await http.get(url)
    except (httpx.HTTPError, TimeoutError) as error:
        raise OutsideWorld(f"{url}: {error or type(error).__name__}") from error
    if answer.status_code != 200:
        raise OutsideWorld(f"{url}: {answer.status_code} {answer.text.strip()}")
    return answer.content
