"""Small real parts for the wire's tests: a transcoder without codecs, payments that keep a tab."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from livefleet.ai import AdvertisedModel, NoCapacity
from livefleet.chain import LocalSigner, keccak256
from livefleet.kernel import Address, BlockNumber, Pixels, Refused, Round, SessionId, Wei, WinProb
from livefleet.media import Profile, Rendition, TranscodeError, TranscodeJob, TranscodeResult
from livefleet.payments import (
    OffchainPayments,
    Quote,
    ReceivedPayment,
    SenderSignature,
    TicketExpiration,
    TicketParams,
)
from livefleet.spec import Pipeline
from livefleet.wire import AuthToken, Capabilities, Capability, SegmentCredentials
from livefleet.wire.segment import sign_segment
from livefleet.wire.translate import payment_to_header, segment_to_header
from tests.builders.ai import images

GATEWAY = LocalSigner(b"\x11" * 32)  # test-only
ORCHESTRATOR = LocalSigner(b"\x22" * 32)  # test-only
AUTH_SECRET = bytes(range(32))

TRANSCODING_IDS = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 26})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def a_profile(name: str = "P240p30fps16x9", **changes) -> Profile:
    return Profile(**({"name": name, "width": 426, "height": 240, "bitrate": 600_000, "fps": 30} | changes))


def a_job(**changes) -> TranscodeJob:
    fields = {
        "session": SessionId("0badcafe"),
        "sequence": 0,
        "source": b"source" * 100,
        "duration_ms": 2000,
        "profiles": (a_profile(),),
    }
    return TranscodeJob(**(fields | changes))


def ticket_params(**changes) -> TicketParams:
    fields = {
        "recipient": ORCHESTRATOR.address,
        "face_value": Wei(12 * 10**15),
        "win_prob": WinProb(2**200),
        "recipient_rand_hash": b"\x07" * 32,
        "seed": 2**250 + 5,
        "expiration_block": BlockNumber(21_000_040),
        "expiration": TicketExpiration(Round(3500), b"\x09" * 32),
    }
    return TicketParams(**(fields | changes))


@dataclass
class RecordingTranscoder:
    """A transcoder whose renditions tell what they were made of. `gate` closed holds jobs back."""

    capability_ids: frozenset[int] = TRANSCODING_IDS
    failure: str | None = None
    renditions_missing: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: list[TranscodeJob] = field(default_factory=list)
    ended: list[SessionId] = field(default_factory=list)
    room: int | None = None  # sessions; None: any number
    is_emptied: bool = False
    opened: set[SessionId] = field(default_factory=set)

    def __post_init__(self):
        self.gate.set()

    def has_room(self, profiles: Sequence[Profile] = ()) -> bool:
        return self.room is None or len(self.opened) < self.room

    def open_session(self, session: SessionId, profiles: Sequence[Profile]) -> bool:
        if session not in self.opened and not self.has_room(profiles):
            return False
        self.opened.add(session)
        return True

    async def transcode(self, job: TranscodeJob) -> TranscodeResult:
        self.jobs.append(job)
        await self.gate.wait()
        if self.failure is not None:
            raise TranscodeError(self.failure)
        return TranscodeResult(
            tuple(
                Rendition(
                    made_of(profile, job.source),
                    Pixels(profile.width * profile.height * 60),
                    f"hash of {profile.name}".encode() if job.calc_perceptual_hash else None,
                )
                for profile in job.profiles[self.renditions_missing :]
            ),
            Pixels(1280 * 720 * 60),
        )

    async def end_session(self, session: SessionId) -> None:
        self.ended.append(session)
        self.opened.discard(session)


def made_of(profile: Profile, source: bytes) -> bytes:
    """What RecordingTranscoder makes of a source."""
    return b"rendition %s of " % profile.name.encode() + keccak256(source) * 8


class FreePayments(OffchainPayments):
    """The off-chain payments, which also remember what they were told."""

    def __init__(self):
        self.received: list[SessionId] = []
        self.debits: list[tuple[SessionId, int]] = []

    async def receive(self, payment, session):
        self.received.append(session)

    def debit(self, payment, session, units, *, price=None):
        self.debits.append((session, units))
        return Fraction(0)


class TabPayments(FreePayments):
    """On-chain in its answers, with a tab of its own in place of tickets: a payment with tickets pays 1 ETH."""

    on_chain = True
    recipient = ORCHESTRATOR.address

    def __init__(self, price: Fraction = Fraction(1203, 1000)):
        super().__init__()
        self.price = price
        self.tab: dict[tuple[Address | None, SessionId], Fraction] = {}
        self.quote_error: Exception | None = None
        self.receive_error: Exception | None = None
        self.quoted: list[tuple[SessionId | None, tuple[tuple[str, str], ...]]] = []

    async def quote(self, sender, *, session=None, models=(), price=None):
        if self.quote_error is not None:
            raise self.quote_error
        self.quoted.append((session, tuple(models)))
        return Quote(self.price if price is None else price, ticket_params())

    async def receive(self, payment, session):
        await super().receive(payment, session)
        if self.receive_error is not None:
            raise self.receive_error
        key = (payment.sender, session)
        self.tab[key] = self.tab.get(key, Fraction(0)) + 10**18 * len(payment.tickets)

    def require_balance(self, payment, session, *, price=None):
        if self.tab.get((payment.sender, session), 0) <= 0:
            raise Refused("Insufficient balance")

    def debit(self, payment, session, units, *, price=None):
        super().debit(payment, session, units)
        self.tab[(payment.sender, session)] -= units * (price or self.price)
        return units * (price or self.price)

    def capability_prices(self, sender):
        return (("text-to-image", "tiny", 7),)


def a_payment(*, tickets: int = 1, sender: Address = GATEWAY.address) -> ReceivedPayment:
    return ReceivedPayment(
        sender=sender,
        ticket_params=ticket_params() if tickets else None,
        expiration=ticket_params().expiration if tickets else TicketExpiration(),
        tickets=tuple(SenderSignature(nonce + 1, bytes([nonce % 256]) * 65) for nonce in range(tickets)),
        price_per_unit=1203,
        pixels_per_unit=1000,
    )


def credentials_for(token: AuthToken | None, source: bytes, **changes) -> SegmentCredentials:
    fields = {
        "manifest_id": b"mymanifest",
        "sequence": 7,
        "source_hash": keccak256(source),
        "profiles": (a_profile(), a_profile("P144p30fps16x9", width=256, height=144)),
        "duration_ms": 2000,
        "capabilities": Capabilities.of({Capability.AUTH_TOKEN, Capability.H264, Capability.MPEGTS}),
        "auth_token": token,
    }
    return SegmentCredentials(**(fields | changes))


def work_headers(
    credentials: SegmentCredentials, payment: ReceivedPayment | None = None, *, signer: LocalSigner | None = GATEWAY
) -> dict[str, str]:
    """What a gateway sends with work."""
    signed = credentials if signer is None else sign_segment(credentials, signer)
    return {
        "Livepeer-Segment": segment_to_header(signed),
        "Livepeer-Payment": "" if payment is None else payment_to_header(payment),
        "Content-Type": "video/MP2T",
    }


MODEL = "owner/tiny"
IMAGE_BODY = {"model_id": MODEL, "prompt": "a fleet", "width": 64, "height": 32, "num_images_per_prompt": 2}


class OnePlace:
    """A model with one place, as `livefleet.ai.AiPool` offers it.

    It answers with pictures, or with `result`, or chunk by chunk with `chunks`; `gate` closed holds it back.
    """

    def __init__(self, pipeline=Pipeline.TEXT_TO_IMAGE, *, result=None, chunks=()):
        self.pipeline = pipeline
        self.result = result
        self.chunks = chunks
        self.in_use = 0
        self.requests = []
        self.error = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self.sent = 0

    def advertised(self):
        return (
            AdvertisedModel(
                self.pipeline.value, MODEL, warm=True, capacity=1, capacity_in_use=self.in_use, runner_version="1.0"
            ),
        )

    @contextlib.contextmanager
    def reserve(self, pipeline, model_id):
        if (pipeline, model_id) != (self.pipeline, MODEL) or self.in_use:
            raise NoCapacity(model_id, "test")
        self.in_use += 1
        try:
            yield self
        finally:
            self.in_use -= 1

    async def run(self, job):
        if self.error is not None:
            raise self.error
        self.requests.append(job)
        await self._wait()
        return self.result or images(*(b"\x89PNG %d" % n for n in range(job.media)))

    async def stream(self, job):
        self.requests.append(job)
        for chunk in self.chunks:
            await self._wait()
            if self.error is not None:
                raise self.error
            self.sent += 1
            yield chunk

    async def _wait(self):
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def a_chunk(text: str = "", *, finish: str | None = None) -> dict:
    """A bit of an llm's answer."""
    return {
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }


def a_rng() -> random.Random:
    return random.Random(7)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what other tasks or processes bring about."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)
