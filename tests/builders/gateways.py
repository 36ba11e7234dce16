"""Gateways for whole nodes: an honest stream, and single requests that an honest gateway would not send."""

import base64
import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx

from livefleet.chain import LocalSigner, MessageSigner
from livefleet.kernel import Address, OutsideWorld
from livefleet.media import Profile
from livefleet.media.inspection import MediaInfo, inspect
from livefleet.media.ladder import STANDARD
from livefleet.media.segmenter import SourceSegment, split
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport, StreamClient
from livefleet.wire.gateway.credentials import job_capabilities, segment_header
from livefleet.wire.gateway.discovery import end_session, get_orchestrator
from livefleet.wire.gateway.payer import estimate_units
from livefleet.wire.proto import lp_rpc_pb2 as pb
from tests.builders.media import a_clip

PROFILES = tuple(STANDARD[name] for name in ("P144p30fps16x9", "P240p30fps16x9", "P360p30fps16x9"))
_PATIENCE_S = 30.0  # with a busy machine
STRANGER = LocalSigner(b"\x33" * 32)  # test-only


@functools.cache
def a_stream(segments: int, *, seconds: float = 1, height: int = 180) -> tuple[tuple[SourceSegment, ...], MediaInfo]:
    """Consecutive segments with sound, and what the source is."""
    clip = a_clip(
        segments * seconds, suffix=".mp4", width=height * 16 // 9, height=height, key_every_s=min(1.0, seconds)
    )
    return tuple(split(clip, seconds))[:segments], inspect(clip)


@asynccontextmanager
async def a_stream_client(
    service_uri: str, signer: MessageSigner | None, *, profiles: Sequence[Profile] = PROFILES, **settings: object
) -> AsyncIterator[StreamClient]:
    """An honest gateway's session."""
    async with StreamClient(
        parse_endpoint(service_uri), Payer(signer), profiles, manifest_id="node-test", **settings
    ) as client:
        yield client


async def send(
    client: StreamClient, segments: Sequence[SourceSegment], source: MediaInfo
) -> list[SegmentReport | tuple[int, str]]:
    """Send segments in order; the outcome of each."""
    return [outcome async for outcome in client.run(segments, source=source)]


class ForgedSigner:
    """Claims one account and signs with another's key."""

    def __init__(self, claimed: Address, key: MessageSigner = STRANGER) -> None:
        self.address = claimed
        self._key = key

    def sign_message(self, digest: bytes) -> bytes:
        """A signature of the wrong key."""
        return self._key.sign_message(digest)


class SingleRequests:
    """One session of a gateway whose every header and body is in the test's hands. Signs honestly by itself.

    Each request has a connection of its own. `signer` None speaks off-chain. Use as an async context manager.
    """

    def __init__(self, service_uri: str, signer: MessageSigner | None, profiles: Sequence[Profile] = PROFILES) -> None:
        self._endpoint = parse_endpoint(service_uri)
        self._signer = signer
        self._profiles = tuple(profiles)
        self.payer = Payer(signer)
        self.info = pb.OrchestratorInfo()

    async def __aenter__(self) -> Self:
        await self.discover()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def discover(self) -> pb.OrchestratorInfo:
        """Begin a session, and end the one before: price, ticket parameters, auth token."""
        await self._end()
        capabilities = job_capabilities(self._profiles)
        self.info = await get_orchestrator(self._endpoint, self.payer, capabilities, timeout_s=_PATIENCE_S)
        return self.info

    async def _end(self) -> None:
        """Tell the orchestrator, where it is still there, that the session needs no room any more."""
        if self.info.HasField("auth_token"):
            with contextlib.suppress(OutsideWorld):
                await end_session(self._endpoint, self.info.auth_token)

    def payment(self, *, payer: Payer | None = None, seconds: float = 1) -> str:
        """A payment header over so many seconds of all renditions, which somebody else may have signed.

        Always with tickets: what earlier ones left over is not counted.
        """
        payer, session = payer or self.payer, self.info.auth_token.session_id
        payer.forget(session)
        header, tickets = payer.payment(self.info, session, estimate_units(self._profiles, seconds))
        assert tickets > 0
        return header

    def empty_payment(self) -> str:
        """A payment header without tickets."""
        assert self._signer is not None
        sender = bytes.fromhex(self._signer.address[2:])
        payment = pb.Payment(sender=sender, expected_price=self.info.price_info)
        return base64.b64encode(payment.SerializeToString()).decode()

    def credentials(self, data: bytes = b"", *, sequence: int = 0, duration_ms: int = 1000) -> str:
        """A segment header for these bytes; none of them where only a payment is made."""
        return segment_header(
            self.payer,
            manifest_id="node-test",
            sequence=sequence,
            data=data,
            profiles=self._profiles,
            duration_ms=duration_ms,
            auth_token=self.info.auth_token,
            capabilities=job_capabilities(self._profiles),
        )

    async def post(
        self, segment: SourceSegment, payment: str, *, body: bytes | None = None
    ) -> tuple[int, str, pb.TranscodeResult | None]:
        """(status, text, result) of a segment; `body` replaces what the credentials were signed for."""
        credentials = self.credentials(segment.data, sequence=segment.sequence, duration_ms=segment.duration_ms)
        headers = {"Livepeer-Payment": payment, "Livepeer-Segment": credentials, "Content-Type": "video/MP2T"}
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            answer = await http.post(
                f"{self.info.transcoder}/segment", content=segment.data if body is None else body, headers=headers
            )
        if answer.status_code != 200:
            return answer.status_code, answer.text.strip(), None
        return 200, "", pb.TranscodeResult.FromString(answer.content)

    async def pay(self, payment: str) -> tuple[int, str]:
        """(status, text) of a payment that is made outside of segments."""
        headers = {"Livepeer-Payment": payment, "Livepeer-Segment": self.credentials()}
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            answer = await http.post(f"{self.info.transcoder}/payment", headers=headers)
        return answer.status_code, answer.text.strip()


def write_key(path: Path, secret: bytes) -> None:
    """A plain hex key file, as the deploy leaves one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret.hex() + "\n")
