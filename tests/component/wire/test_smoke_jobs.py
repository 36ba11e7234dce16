"""At which stage smoke jobs fail, against a real front door with real payments behind it."""

from contextlib import AsyncExitStack
from fractions import Fraction

import pytest

from livefleet.ai import AiResult, Media
from livefleet.cli.smoke_job import SmokeClip, SmokeGateway
from livefleet.control import SmokeStage
from livefleet.kernel import Refused, Wei
from livefleet.spec import Pipeline, SmokeSettings
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SpendLimits
from tests.builders.ai_files import wav
from tests.builders.payments import ToldChain, a_desk, a_sender, some_prices
from tests.builders.wire import GATEWAY as SIGNER
from tests.builders.wire import MODEL, ORCHESTRATOR, OnePlace, RecordingTranscoder, free_port

pytestmark = pytest.mark.component

CLIP = SmokeClip(1)
SPEECH = {("text-to-speech", MODEL): Fraction(5, 2)}


def a_gateway(uri, signer=SIGNER, **settings):
    settings = SmokeSettings(**{"seconds": 1, "profiles": ("P144p30fps16x9",)} | settings)
    limits = SpendLimits(total=Fraction(settings.max_spend), face_value=settings.max_face_value or None)
    return SmokeGateway(parse_endpoint(uri), Payer(signer, limits), settings, CLIP)


@pytest.fixture
async def node(serve, tmp_path):
    """On chain, with a voice, and devices whose renditions nobody can decode."""
    chain = ToldChain()
    result = AiResult({"audio": {"url": "0"}}, {"0": Media(wav(), "audio/wav")})
    voice, transcoder = OnePlace(Pipeline.TEXT_TO_SPEECH, result=result), RecordingTranscoder()
    async with a_desk(tmp_path / "store.sqlite3", chain=chain, prices=some_prices(models=SPEECH)) as (payments, *_):
        orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=transcoder, ai=voice)
        orchestrator.chain, orchestrator.voice, orchestrator.transcoder = chain, voice, transcoder
        orchestrator.payments = payments
        yield orchestrator


async def test_model__works__passes_and_tells_what_it_cost(node):
    gateway = a_gateway(node.uri)
    assert await gateway.offered_models() == (("text-to-speech", MODEL),)
    job = await gateway.model("text-to-speech", MODEL)
    assert (job.failed_at, job.price) == (None, Fraction(5, 2)), job
    assert job.tickets == node.payments.snapshot().received.count
    assert job.spent == node.payments.snapshot().received.value


async def test_nobody_at_the_door__fails_at_discover(node):
    job = await a_gateway(f"https://127.0.0.1:{free_port()}").video()
    assert (job.failed_at, job.tickets) == (SmokeStage.DISCOVER, 0)
    assert "is 127.0.0.1:" in job.advice


async def test_model_that_is_not_offered__fails_at_discover(node):
    job = await a_gateway(node.uri).model("llm", "somebody/else")
    assert (job.failed_at, job.tickets) == (SmokeStage.DISCOVER, 0)


async def test_price_above_the_limit__fails_at_price_and_nothing_is_paid(node):
    job = await a_gateway(node.uri, max_price=1199).video()
    assert (job.failed_at, job.tickets) == (SmokeStage.PRICE, 0)
    assert job.text == "it asks 1200 wei a pixel, and smoke.max_price is 1199"
    assert node.payments.snapshot().received.count == 0


@pytest.mark.parametrize("limits", [{"max_spend": 10**9}, {"max_face_value": 10**9}])
async def test_tickets_beyond_the_limits__fail_at_price_and_nothing_is_paid(node, limits):
    gateway = a_gateway(node.uri, **limits)
    for job in (await gateway.video(), await gateway.model("text-to-speech", MODEL)):
        assert (job.failed_at, job.tickets) == (SmokeStage.PRICE, 0), job
    assert node.payments.snapshot().received.count == 0


async def test_account_without_reserve__fails_at_pay_and_says_which(node):
    node.chain.sender = a_sender(deposit=Wei(0), reserve_remaining=Wei(0))
    job = await a_gateway(node.uri).video()
    assert (job.failed_at, job.tickets) == (SmokeStage.PAY, 0)
    assert "insufficient sender reserve" in job.text
    assert SIGNER.address in job.advice


async def test_tickets_are_not_taken__fails_at_pay(node):
    node.chain.active.clear()
    for job in (await a_gateway(node.uri).video(), await a_gateway(node.uri).model("text-to-speech", MODEL)):
        assert job.failed_at is SmokeStage.PAY, job
        assert "400" in job.text


async def test_devices_fail__fails_at_work_with_their_word(node):
    node.transcoder.failure = "TranscoderFailed"
    job = await a_gateway(node.uri).video()
    assert (job.failed_at, "TranscoderFailed" in job.text) == (SmokeStage.WORK, True)


async def test_model_fails__fails_at_work(node):
    node.voice.error = Refused("GPU out of memory.", status=500)
    job = await a_gateway(node.uri).model("text-to-speech", MODEL)
    assert (job.failed_at, "GPU out of memory." in job.text) == (SmokeStage.WORK, True)


async def test_nothing_comes_in_time__fails_at_work(node):
    node.voice.gate.clear()
    job = await a_gateway(node.uri, timeout_s=0.5).model("text-to-speech", MODEL)
    assert (job.failed_at, job.text) == (SmokeStage.WORK, "no result within 0.5 s")


async def test_renditions_that_nobody_can_decode__fail_at_check(node):
    job = await a_gateway(node.uri).video()
    assert job.failed_at is SmokeStage.CHECK, job
    assert "P144p30fps16x9: cannot be decoded" in job.text


async def test_held_open__the_session_stays_until_its_end(node):
    gateway = a_gateway(node.uri)
    async with AsyncExitStack() as held:
        await gateway.video(held=held)
        await gateway.video(held=held)
        assert (len(node.transcoder.opened), len(node.transcoder.ended)) == (2, 0)
    assert not node.transcoder.opened
