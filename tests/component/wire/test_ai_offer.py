"""What gateways are told of models and their prices, and that they pay exactly that. Real payments, a real door."""

from fractions import Fraction

import pytest

from livefleet.ai import SERVED, AdvertisedModel, AiResult, Media
from livefleet.kernel import SystemClock
from livefleet.payments import ModelAccounts
from livefleet.spec import Pipeline
from livefleet.wire import Capabilities, Capability, ModelConstraint
from livefleet.wire.ai_hardware import GpuInfo, ModelHardware
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, ask
from tests.builders.ai_files import wav
from tests.builders.payments import GATEWAY, a_desk, some_prices
from tests.builders.wire import GATEWAY as SIGNER
from tests.builders.wire import MODEL, ORCHESTRATOR, OnePlace

pytestmark = pytest.mark.component

NUMBERS = {
    "text-to-image": 27, "image-to-image": 28, "image-to-video": 29, "upscale": 30, "audio-to-text": 31,
    "segment-anything-2": 32, "llm": 33, "image-to-text": 34, "text-to-speech": 36,
}  # fmt: skip
PRICES = {(pipeline, MODEL): Fraction(10 * number + 7, 10) for pipeline, number in NUMBERS.items()}
HARDWARE = (ModelHardware("llm", MODEL, {"0": GpuInfo("GPU-1", "Test", 8, 9, 5, 24)}),)


class Everything(OnePlace):
    """A model of each pipeline; half of them cold."""

    def advertised(self):
        return tuple(
            AdvertisedModel(p.value, MODEL, p is not Pipeline.LLM, 2, self.in_use, runner_version="0.14.1")
            for p in SERVED
        )


@pytest.fixture
async def node(serve, tmp_path):
    """Speech is what it is asked for; one gateway has its own price for it."""
    result = AiResult({"audio": {"url": "0"}}, {"0": Media(wav(), "audio/wav")})
    ai = Everything(Pipeline.TEXT_TO_SPEECH, result=result)
    async with (
        a_desk(tmp_path / "store.sqlite3") as (payments, *_),
        ModelAccounts(tmp_path / "accounts.sqlite", clock=SystemClock()) as accounts,
    ):
        own = {(GATEWAY.lower(), "text-to-speech", MODEL): Fraction(5, 2)}
        payments.set_prices(some_prices(models=PRICES, gateway_models=own))
        orchestrator = await serve(
            payments=payments, signer=ORCHESTRATOR, ai=ai, ai_hardware=lambda: HARDWARE, accounts=accounts
        )
        orchestrator.ai, orchestrator.payments, orchestrator.accounts = ai, payments, accounts
        yield orchestrator


def wanting(node, pipeline):
    return node.signed(Capabilities.of((), models={NUMBERS[pipeline]: {MODEL: ModelConstraint()}}))


async def test_every_pipeline__is_told_with_its_number_its_models_and_its_price(node):
    info = await node.info()
    assert info.capabilities.models == {
        number: {MODEL: ModelConstraint(warm=pipeline != "llm", capacity=2, runner_version="0.14.1")}
        for pipeline, number in NUMBERS.items()
    }
    assert info.capabilities.ids >= {*range(13), 14, 26, *NUMBERS.values()}
    assert Capability.LIVE_VIDEO_TO_VIDEO not in info.capabilities.ids
    assert info.capabilities.mandatories == ()
    told = {price.capability: price.price for price in info.capability_prices}
    assert told == {number: number for number in NUMBERS.values()} | {36: 2}  # whole wei; the last is the gateway's own
    assert {price.model_id for price in info.capability_prices} == {MODEL}
    assert info.hardware == HARDWARE


async def test_one_pipeline_wanted__is_told_its_exact_price_and_no_list(node):
    for pipeline in NUMBERS:
        info = await node.info(wanting(node, pipeline))
        assert info.price == (Fraction(5, 2) if pipeline == "text-to-speech" else PRICES[(pipeline, MODEL)])
        assert (info.capability_prices, info.hardware) == ((), ())


async def test_place_in_use__is_told(node):
    with node.ai.reserve(Pipeline.TEXT_TO_SPEECH, MODEL):
        models = (await node.info()).capabilities.models
    assert models[36] == {MODEL: ModelConstraint(warm=True, capacity=1, runner_version="0.14.1", capacity_in_use=1)}


async def test_speech__is_paid_for_with_tickets_and_debited_by_its_characters(node):
    request = AiRequest("text-to-speech", MODEL, {"text": "Grüße"})
    payer = Payer(SIGNER)
    report = await ask(parse_endpoint(node.uri), payer, request)
    assert (report.problems, report.price, report.units) == ((), Fraction(5, 2), 5000)
    assert report.tickets > 0
    paid, fee = payer.spending.expected_value, 5000 * Fraction(5, 2)
    assert payer.spending.fees == fee
    assert node.payments.snapshot().credit == paid - fee
    (account,) = node.accounts.snapshot()
    assert (account.pipeline, account.model_id) == ("text-to-speech", MODEL)
    assert (account.income.jobs, account.income.units, account.income.charged) == (1, 5000, fee)
