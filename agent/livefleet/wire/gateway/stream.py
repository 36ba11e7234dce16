"""Sends a stream's segments to an orchestrator, pays for them, and checks what comes back."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from fractions import Fraction
from types import TracebackType
from typing import Self

import httpx
from google.protobuf.message import DecodeError

from livefleet.chain import checksum_address
from livefleet.kernel import Address, LivefleetError, OutsideWorld
from livefleet.media import Profile, TranscodeError
from livefleet.media.inspection import MediaInfo, inspect
from livefleet.media.segmenter import SourceSegment
from livefleet.wire.channel import Endpoint
from livefleet.wire.gateway.credentials import job_capabilities, segment_header
from livefleet.wire.gateway.discovery import discover, end_session
from livefleet.wire.gateway.models import RenditionReport, SegmentReport, StreamReport, address_of
from livefleet.wire.gateway.payer import Payer, estimate_units, price_of
from livefleet.wire.gateway.sources import SourceUploads
from livefleet.wire.gateway.verify import check_rendition, result_is_signed
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.storage import ObjectStore

__all__ = ["StreamClient"]

log = logging.getLogger(__name__)

ATTEMPTS = 3  # per segment, as go-livepeer's gateway
REFRESH_BEFORE_S = 180  # seconds of token life below which a session is refreshed


class SegmentRefusedError(LivefleetError):
    """The orchestrator answered with an error, in `text`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class StreamClient:
    """One stream against one orchestrator. Use as an async context manager; leaving ends the session there.

    With `extra_nodes` it may be any of so many nodes beside it that the orchestrator names: the next one is taken when
    a segment fails. `store` is the gateway's own object store, for sources and results.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        payer: Payer,
        profiles: Sequence[Profile],
        *,
        manifest_id: str,
        now: Callable[[], float] = time.time,
        keep: Callable[[int, Profile, bytes], None] | None = None,
        retry_wait_s: float = 0.5,
        extra_nodes: int = 0,
        store: ObjectStore | None = None,
    ) -> None:
        self._address = endpoint
        self._extra_nodes = extra_nodes
        self._nodes: tuple[Endpoint, ...] = ()
        self._failed: set[Endpoint] = set()
        self._endpoint = endpoint
        self._payer = payer
        self._profiles = tuple(profiles)
        self._manifest_id = manifest_id
        self._now = now
        self._keep = keep
        self._retry_wait_s = retry_wait_s
        self._sources = SourceUploads(manifest_id, store, now)
        mine = self._sources.grant("")
        self._capabilities = job_capabilities(profiles, storage=None if mine is None else mine.kind)
        self._info: pb.OrchestratorInfo | None = None
        self._retries = 0
        self._first_price: Fraction | None = None
        self._http = httpx.AsyncClient(http2=True, verify=False, timeout=httpx.Timeout(30.0, connect=3.0))  # noqa: S501 -- peers prove themselves by signatures, certificates are self-signed

    async def __aenter__(self) -> Self:
        self._info = await self._discover()
        self._first_price = price_of(self._info)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._info is not None:
                await end_session(self._endpoint, self._info.auth_token)
        except OutsideWorld as failure:
            log.info("session.end_not_told", extra={"orchestrator": str(self._endpoint), "error": str(failure)})
        finally:
            await self._http.aclose()
            await self._sources.close()

    @property
    def info(self) -> pb.OrchestratorInfo:
        """The orchestrator as it last described itself."""
        assert self._info is not None, "enter the client first"
        return self._info

    async def run(
        self, segments: Sequence[SourceSegment], *, source: MediaInfo, realtime: bool = False
    ) -> AsyncIterator[SegmentReport | tuple[int, str]]:
        """Send the segments in order; yields a report for each, or (sequence, error) for one given up."""
        started = time.monotonic()
        due = 0.0
        for segment in segments:
            due += segment.duration_ms / 1000
            if realtime:  # a live source hands a segment over when it is complete
                await asyncio.sleep(max(0.0, started + due - time.monotonic()))
            try:
                yield await self._segment(segment, source_audio=source.has_audio)
            except (LivefleetError, httpx.HTTPError) as error:
                yield segment.sequence, str(error) or type(error).__name__

    def report(self, outcomes: Sequence[SegmentReport | tuple[int, str]]) -> StreamReport:
        """The stream as a whole."""
        recipient = self.info.ticket_params.recipient
        return StreamReport(
            orchestrator=self.info.transcoder,
            recipient=Address(checksum_address(recipient)) if recipient else None,
            price=price_of(self.info),
            segments=tuple(o for o in outcomes if isinstance(o, SegmentReport)),
            spending=self._payer.spending,
            retries=self._retries,
            failures=tuple(f"segment {o[0]}: {o[1]}" for o in outcomes if isinstance(o, tuple)),
        )

    async def _discover(self) -> pb.OrchestratorInfo:
        answer = await discover(
            self._address, self._payer, self._capabilities, extra_nodes=self._extra_nodes, known=self._nodes
        )
        self._nodes = answer.nodes
        if self._failed.issuperset(endpoint for endpoint, _ in answer.found):
            self._failed.clear()
        self._endpoint, info = next(entry for entry in answer.found if entry[0] not in self._failed)
        return info

    async def _segment(self, segment: SourceSegment, *, source_audio: bool) -> SegmentReport:
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._retries += 1
                await asyncio.sleep(self._retry_wait_s * 2 ** (attempt - 1))
                await self._new_session()
            elif self.info.auth_token.expiration - self._now() < REFRESH_BEFORE_S:
                await self._new_session()
            try:
                return await self._send(segment, source_audio=source_audio)
            except (SegmentRefusedError, OutsideWorld, httpx.HTTPError) as error:
                last = error
                self._failed.add(self._endpoint)
                log.info("segment.retry", extra={"seq": segment.sequence, "error": str(error)})
        assert last is not None
        raise last

    async def _new_session(self) -> None:
        # After a failure nobody knows what the other side has kept of the old session's credit.
        self._payer.forget(self.info.auth_token.session_id)
        try:
            self._info = await self._discover()
        except OutsideWorld as error:
            log.info("session.refresh_failed", extra={"error": str(error)})

    async def _send(self, segment: SourceSegment, *, source_audio: bool) -> SegmentReport:
        info = self.info
        price = price_of(info)
        if price is not None and self._first_price and price > 2 * self._first_price:
            raise OutsideWorld(f"the price rose to {price} wei per pixel, more than twice {self._first_price}")
        session = info.auth_token.session_id
        duration_s = segment.duration_ms / 1000
        body, content_type = await self._sources.body(info, segment)
        payment, tickets = self._payer.payment(info, session, estimate_units(self._profiles, duration_s))
        headers = {
            "Livepeer-Payment": payment,
            "Livepeer-Segment": segment_header(
                self._payer,
                manifest_id=self._manifest_id,
                sequence=segment.sequence,
                data=segment.data,
                profiles=self._profiles,
                duration_ms=segment.duration_ms,
                auth_token=info.auth_token,
                capabilities=self._capabilities,
                storage=self._sources.grant(session),
            ),
            "Content-Type": content_type,
        }
        began = time.monotonic()
        answer = await self._http.post(f"{info.transcoder}/segment", content=body, headers=headers)
        round_trip_s = time.monotonic() - began
        result = _parse(answer)
        if result.HasField("info"):
            self._info = result.info
        if result.WhichOneof("result") != "data":
            raise SegmentRefusedError(result.error or "UnknownResponse")
        data = await asyncio.gather(*(self._download(s.url) for s in result.data.segments))
        download_s = time.monotonic() - began - round_trip_s
        pixels = sum(s.pixels for s in result.data.segments)
        fee = self._payer.settle(session, price, pixels)
        return await self._check(
            segment,
            info,
            result,
            data,
            price=fee,
            tickets=tickets,
            times=(round_trip_s, download_s),
            audio=source_audio,
        )

    async def _check(
        self,
        segment: SourceSegment,
        info: pb.OrchestratorInfo,
        result: pb.TranscodeResult,
        data: Sequence[bytes],
        *,
        price: Fraction,
        tickets: int,
        times: tuple[float, float],
        audio: bool,
    ) -> SegmentReport:
        duration_s = segment.duration_ms / 1000
        problems: list[str] = []
        if len(data) != len(self._profiles):
            problems.append(f"{len(data)} renditions for {len(self._profiles)} profiles")
        signed = self._payer.address is None or result_is_signed(data, result.data.sig, address_of(info))
        if not signed:
            problems.append("the result's signature is not the orchestrator's")
        renditions = []
        for profile, told, content in zip(self._profiles, result.data.segments, data, strict=False):
            try:
                found = await asyncio.to_thread(inspect, content)
            except TranscodeError as error:
                problems.append(f"{profile.name}: cannot be decoded: {error}")
                continue
            problems += check_rendition(profile, found, told.pixels, source_duration_s=duration_s, source_audio=audio)
            renditions.append(
                RenditionReport(
                    profile=profile.name,
                    width=found.width,
                    height=found.height,
                    frames=found.frames,
                    pixels=found.pixels,
                    reported_pixels=told.pixels,
                    duration_s=found.duration_s,
                    has_audio=found.has_audio,
                    size=len(content),
                )
            )
            if self._keep is not None:
                self._keep(segment.sequence, profile, content)
        return SegmentReport(
            sequence=segment.sequence,
            source_duration_s=duration_s,
            round_trip_s=times[0],
            download_s=times[1],
            tickets=tickets,
            pixels=sum(r.reported_pixels for r in renditions),
            fee=price,
            renditions=tuple(renditions),
            signature_ok=signed,
            problems=tuple(problems),
        )

    async def _download(self, url: str) -> bytes:
        answer = await self._http.get(url, timeout=4.0)
        if answer.status_code != 200:
            raise SegmentRefusedError(f"rendition {url}: {answer.status_code} {answer.text.strip()}")
        return answer.content


def _parse(answer: httpx.Response) -> pb.TranscodeResult:
    if answer.status_code != 200:
        raise SegmentRefusedError(f"{answer.status_code} {answer.text.strip()}")
    try:
        result: pb.TranscodeResult = pb.TranscodeResult.FromString(answer.content)
    except DecodeError as error:
        raise SegmentRefusedError("the answer is not a TranscodeResult") from error
    return result
