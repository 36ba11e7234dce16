"""One stream of a stock gateway: asks, pays, sends, checks, within a gateway's time limits."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import grpc
import httpx

from livefleet.chain import LocalSigner, keccak256, verify
from livefleet.media import Profile
from livefleet.media.inspection import inspect
from livefleet.media.segmenter import SourceSegment
from livefleet.wire.channel import Endpoint, channel_trusting
from livefleet.wire.gateway.credentials import job_capabilities, segment_header
from livefleet.wire.gateway.payer import Payer, estimate_units
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from tests.fault import limits
from tests.fault.limits import Funds
from tests.fault.record import Record

_PATIENCE_S = 60.0  # for a door that is known to be closed
_NULL_PACKET = b"\x47\x1f\xff\x10"


class DoorClosedError(Exception):
    """Nobody took the request."""


class StaleError(Exception):
    """The pooled connection was gone; Go's HTTP client notices that before it takes one, this one while it sends."""


class CutOffError(DoorClosedError):
    """The connection went while the request was being sent; the payment may have arrived."""


class BrokenError(Exception):
    """The attempt was under way and was lost, or its result is none."""


class RefusedError(Exception):
    """The orchestrator answered with an error."""


@dataclass
class Target:
    """The orchestrator, as the gateway knows it, and whether somebody is breaking it right now."""

    endpoint: Endpoint
    certificate: bytes
    funds: Funds
    started_at: float = 0.0  # when it was last ready, unix seconds
    disturbed_until: float = 0.0  # monotonic; infinite while somebody holds its door closed

    def is_excused(self, began: float) -> bool:
        """Whether the door may have been closed at some time since `began`."""
        return self.disturbed_until >= began


class Stream:
    """A stream from its start to its end. `refresh_after_s`: age at which a token counts as about to expire."""

    def __init__(
        self,
        target: Target,
        record: Record,
        *,
        signer: LocalSigner,
        profiles: Sequence[Profile],
        source: Sequence[SourceSegment],
        name: str,
        refresh_after_s: float,
    ) -> None:
        self._target = target
        self._record = record
        self._payer = Payer(signer)
        self._address = bytes.fromhex(signer.address[2:])
        self._profiles = tuple(profiles)
        self._source = source
        self._name = name
        self._refresh_after_s = refresh_after_s
        self._capabilities = job_capabilities(profiles)
        self._info = pb.OrchestratorInfo()
        self._session_since = 0.0
        self._first_price = Fraction(0)

    async def run(self, goes_on: Callable[[], bool]) -> None:
        """Send segments in real time while it `goes_on`, then end the session."""
        self._record.streams += 1
        limits_of_pool = httpx.Limits(keepalive_expiry=limits.POOL_IDLE_S)
        timeout = httpx.Timeout(None, connect=limits.HTTP_CONNECT_S)
        async with httpx.AsyncClient(verify=False, http2=True, timeout=timeout, limits=limits_of_pool) as http:
            await self._until_found()
            due = time.monotonic()
            for sequence in itertools.count():
                source = self._source[sequence % len(self._source)]
                due += source.duration_ms / 1000
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not goes_on():
                    break
                # Each its own bytes: the orchestrator remembers which segments took a worker down.
                mark = _NULL_PACKET + f"{self._name}/{sequence}".encode().ljust(184, b"\xff")
                await self._segment(http, replace(source, sequence=sequence, data=source.data + mark))
        await self._end()

    async def _segment(self, http: httpx.AsyncClient, segment: SourceSegment) -> None:
        self._record.offered += 1
        waits_until = time.monotonic() + _PATIENCE_S
        attempts, waited, payment = 0, False, None
        while True:
            began = time.monotonic()
            try:
                if self._info.auth_token.expiration - time.time() < 1800 - self._refresh_after_s:
                    await self._refresh()
                    payment = None
                if payment is None:
                    payment = self._payment(segment)
                await self._attempt(http, segment, payment)
            except StaleError:
                self._record.stale += 1
                self._give_up_payment()  # its headers may have got through
                payment = None
                if time.monotonic() > waits_until:
                    self._record.failed.append("no pooled connection lasts")
                    return
            except DoorClosedError as error:
                if isinstance(error, CutOffError):
                    self._give_up_payment()
                    payment = None
                self._record.turned_away += 1
                self._record.waited += not waited
                waited = True
                if not self._target.is_excused(began) or time.monotonic() > waits_until:
                    self._record.failed.append(f"the door is closed: {error}")
                    self._give_up_payment()
                    return
                await asyncio.sleep(0.25)  # with the same session and the same payment
            except (BrokenError, RefusedError) as error:
                (self._record.broken if isinstance(error, BrokenError) else self._record.refused).append(str(error))
                attempts += 1
                self._give_up_payment()
                payment = None
                if attempts == limits.ATTEMPTS:
                    self._record.failed.append(f"{attempts} attempts: {error}")
                    return
                await self._until_found()
            else:
                self._record.ok += 1
                self._record.carried += self._session_since < self._target.started_at
                return

    def _payment(self, segment: SourceSegment) -> str:
        """The header, if the session still pleases."""
        fault = limits.session_fault(self._info, self._first_price)
        if fault is not None:
            raise RefusedError(fault)
        units = estimate_units(self._profiles, segment.duration_ms / 1000)
        header, tickets = self._payer.payment(self._info, self._info.auth_token.session_id, units)
        self._record.tickets += tickets
        fault = limits.payment_fault(self._info, tickets, self._target.funds)
        if fault is not None:
            raise RefusedError(fault)
        return header

    def _give_up_payment(self) -> None:
        """What was sent is gone, as far as a gateway knows, and so is all credit of its session."""
        self._payer.forget(self._info.auth_token.session_id)

    async def _attempt(self, http: httpx.AsyncClient, segment: SourceSegment, payment: str) -> None:
        info, session = self._info, self._info.auth_token.session_id
        price = limits.price_of(info)
        duration_s = segment.duration_ms / 1000
        headers = {
            "Livepeer-Payment": payment,
            "Livepeer-Segment": segment_header(
                self._payer,
                manifest_id=self._name,
                sequence=segment.sequence,
                data=segment.data,
                profiles=self._profiles,
                duration_ms=segment.duration_ms,
                auth_token=info.auth_token,
                capabilities=self._capabilities,
            ),
            "Content-Type": "video/MP2T",
        }
        began = time.monotonic()
        result = await self._post(http, f"{info.transcoder}/segment", segment.data, headers, duration_s)
        call_s = time.monotonic() - began
        if result.WhichOneof("result") != "data":
            raise RefusedError(result.error or "UnknownResponse")
        renditions = await self._download_all(http, result)
        await self._check(info, result, renditions)
        pixels = sum(told.pixels for told in result.data.segments)
        self._payer.settle(session, price, pixels)
        self._record.pixels += pixels
        self._record.call_s.append(call_s)
        self._record.score.append(limits.latency_score(call_s, duration_s))
        if result.info.auth_token != info.auth_token:
            raise RefusedError("the answer's auth token is another one")
        self._info = result.info  # pays for the next segment

    async def _post(
        self, http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], duration_s: float
    ) -> pb.TranscodeResult:
        loop = asyncio.get_running_loop()
        step, uploaded, is_fresh = "connect", 0.0, False
        try:
            async with asyncio.timeout(limits.call_limit_s(duration_s)), asyncio.timeout(None) as header_timer:

                async def trace(event: str, _: object) -> None:
                    nonlocal step, uploaded, is_fresh
                    if event.startswith("connection.connect_tcp"):
                        is_fresh = True
                    elif event.endswith("send_request_headers.started"):
                        step = "upload"
                    elif event.endswith("send_request_body.complete"):
                        step, uploaded = "headers", loop.time()
                        header_timer.reschedule(uploaded + limits.header_limit_s(duration_s))

                request = http.build_request("POST", url, content=body, headers=headers, extensions={"trace": trace})
                answer = await http.send(request, stream=True)
                try:
                    header_timer.reschedule(None)
                    self._record.header_s.append(loop.time() - uploaded)
                    step = "body"
                    content = await answer.aread()
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            raise BrokenError(f"{step}: time is up") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise DoorClosedError(repr(error)) from error
        except httpx.TransportError as error:
            if step == "upload" and not is_fresh and isinstance(error, httpx.WriteError):
                raise StaleError from error
            lost = CutOffError if step == "upload" else BrokenError
            raise lost(f"{step}: {type(error).__name__}") from error
        text = content.decode(errors="replace").strip()
        if answer.status_code in (502, 503, 504):
            raise CutOffError(f"{answer.status_code}")
        if text == "OrchestratorCapped":  # said before the payment is looked at
            raise DoorClosedError(f"{answer.status_code} {text}")
        if answer.status_code != 200:
            raise RefusedError(f"{answer.status_code} {text}")
        return pb.TranscodeResult.FromString(content)

    async def _download_all(self, http: httpx.AsyncClient, result: pb.TranscodeResult) -> list[bytes]:
        began = time.monotonic()

        async def one(url: str) -> bytes:
            async with asyncio.timeout(limits.DOWNLOAD_S):
                answer = await http.get(url)
            if answer.status_code in (502, 503, 504):
                raise BrokenError(f"download: {answer.status_code}")
            if answer.status_code != 200:
                raise RefusedError(f"rendition: {answer.status_code} {answer.text.strip()}")
            return answer.content

        try:
            found = await asyncio.gather(*(one(told.url) for told in result.data.segments))
        except TimeoutError as error:
            raise BrokenError("download: time is up") from error
        except httpx.TransportError as error:
            raise BrokenError(f"download: {type(error).__name__}") from error
        self._record.download_s.append(time.monotonic() - began)
        return list(found)

    async def _check(self, info: pb.OrchestratorInfo, result: pb.TranscodeResult, renditions: Sequence[bytes]) -> None:
        if len(renditions) != len(self._profiles):
            raise RefusedError(f"{len(renditions)} renditions for {len(self._profiles)} profiles")
        signer = info.address if info.address.strip(b"\0") else info.ticket_params.recipient
        digest = keccak256(*(keccak256(data) for data in renditions))
        if not verify(signer, digest, result.data.sig):
            raise RefusedError("the result's signature is not the orchestrator's")
        for told, data in zip(result.data.segments, renditions, strict=True):
            decoded = (await asyncio.to_thread(inspect, data)).pixels
            if decoded != told.pixels or not decoded:
                raise RefusedError(f"PixelMismatch: {told.pixels} told, {decoded} decoded")

    async def _until_found(self) -> None:
        """Discovery, tried again while the door may be closed."""
        waits_until = time.monotonic() + _PATIENCE_S
        while True:
            began = time.monotonic()
            try:
                await self._ask(limits.DISCOVERY_CUTOFF_S)
            except DoorClosedError as error:
                if not self._target.is_excused(began) or time.monotonic() > waits_until:
                    self._record.missed.append(f"discovery: {error}")
                    if time.monotonic() > waits_until:
                        raise
                await asyncio.sleep(0.25)
            else:
                self._record.discovery_s.append(time.monotonic() - began)
                return

    async def _refresh(self) -> None:
        """In good time before the token expires; a full or closed orchestrator loses the session by it."""
        began = time.monotonic()
        try:
            await self._ask(limits.REFRESH_S)
        except DoorClosedError as error:
            if not self._target.is_excused(began):
                self._record.missed.append(f"refresh: {error}")
            raise
        self._record.refreshes += 1
        self._record.discovery_s.append(time.monotonic() - began)

    async def _ask(self, limit_s: float) -> None:
        """GetOrchestrator on a TLS connection of its own; from now on the session is the new one."""
        address, signature = self._payer.request_signature()
        request = pb.OrchestratorRequest(address=address, sig=signature, capabilities=self._capabilities)
        try:
            async with asyncio.timeout(limit_s), self._channel() as channel:
                async with asyncio.timeout(min(limit_s, limits.DISCOVERY_CONNECT_S)):
                    await channel.channel_ready()
                info = await rpc.OrchestratorStub(channel).GetOrchestrator(request)
        except TimeoutError as error:
            raise DoorClosedError("time is up") from error
        except grpc.aio.AioRpcError as error:
            raise DoorClosedError(error.details() or error.code().name) from error
        fault = limits.session_fault(info, Fraction(0)) or limits.payment_fault(info, 1, self._target.funds)
        if fault is not None:
            raise DoorClosedError(fault)
        self._payer.forget(self._info.auth_token.session_id)
        self._info, self._first_price, self._session_since = info, limits.price_of(info), time.time()
        self._record.sessions += 1

    async def _end(self) -> None:
        """Tell that the stream is over; a gateway does not mind where nobody hears it."""
        began = time.monotonic()
        request = pb.EndTranscodingSessionRequest(auth_token=self._info.auth_token)
        try:
            async with self._channel() as channel:
                await rpc.OrchestratorStub(channel).EndTranscodingSession(request, timeout=8)
        except grpc.aio.AioRpcError as error:
            if not self._target.is_excused(began):
                self._record.missed.append(f"end: {error.details() or error.code().name}")

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[grpc.aio.Channel]:
        channel = channel_trusting([self._target.certificate], self._target.endpoint)
        try:
            yield channel
        finally:
            await channel.close(None)
