"""GetOrchestrator, row by row: signatures, prices, ticket parameters, tokens. Real payments, a real door."""

import re
from dataclasses import replace
from fractions import Fraction

import grpc
import pytest

from livefleet.chain import keccak256
from livefleet.payments.recipient import commitment
from livefleet.wire import Capabilities, Capability, ModelConstraint, OrchestratorRequest
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import info_from_proto, request_to_proto
from tests.builders.gateways import STRANGER
from tests.builders.payments import GATEWAY, a_desk, a_sender, random_of, some_prices
from tests.builders.payments import ORCHESTRATOR as RECIPIENT
from tests.builders.wire import GATEWAY as SIGNER
from tests.builders.wire import MODEL, ORCHESTRATOR, RecordingTranscoder

pytestmark = pytest.mark.component

RAW = bytes.fromhex(GATEWAY[2:])
BAD_SIGNATURE = "Invalid orchestrator request: orchestrator req sig check failed"
CAPPED = "Invalid orchestrator request: OrchestratorCapped"
IMAGES = ("text-to-image", MODEL)


@pytest.fixture
async def priced(serve, tmp_path):
    """`await priced(...)`: a node with these prices."""
    async with a_desk(tmp_path / "store.sqlite3") as (payments, _, chain, _):

        async def start(**prices):
            payments.set_prices(some_prices(**prices))
            orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder())
            orchestrator.payments, orchestrator.chain = payments, chain
            return orchestrator

        yield start


async def refused(call, text):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, text)


def wanting(orchestrator, models, *, ids=(), capacities=None):
    """A signed request for (pipeline id, model id) pairs."""
    needs = Capabilities.of(ids, models={i: {m: ModelConstraint() for m in ms} for i, ms in models.items()})
    return orchestrator.signed(needs if capacities is None else replace(needs, capacities=capacities))


async def test_signature__asked_twice_with_it__is_good_for_ever(priced):
    orchestrator = await priced()
    request = orchestrator.signed()
    infos = [await orchestrator.info(request) for _ in range(2)]
    assert len({info.auth_token.session for info in infos}) == 2


@pytest.mark.parametrize(
    "text",
    [GATEWAY.lower().encode(), RAW, GATEWAY[2:].encode()],
    ids=["lower case", "the bytes", "without 0x"],
)
async def test_signature__over_anything_but_the_checksummed_text__is_refused(priced, text):
    orchestrator = await priced()
    await refused(orchestrator.info(OrchestratorRequest(RAW, SIGNER.sign_message(keccak256(text)))), BAD_SIGNATURE)


@pytest.mark.parametrize(
    "spoil", [lambda s: s[:64] + bytes([s[64] - 27]), lambda s: s[:64], lambda s: s[:0], lambda s: s + s]
)
async def test_signature__of_another_form__is_refused(priced, spoil):
    orchestrator = await priced()
    request = orchestrator.signed()
    await refused(orchestrator.info(replace(request, signature=spoil(request.signature))), BAD_SIGNATURE)


async def test_address__longer_than_twenty_bytes__its_last_ones_count(priced):
    orchestrator = await priced(gateways={GATEWAY.lower(): Fraction(7)})
    info = await orchestrator.info(replace(orchestrator.signed(), address=b"\0" * 12 + RAW))
    assert info.price == 7


async def test_price__without_capabilities__is_the_gateways_own_in_any_case(priced):
    orchestrator = await priced(gateways={GATEWAY.lower(): Fraction(7, 3)})
    assert (await orchestrator.info()).price == Fraction(7, 3)


async def test_price__models_wanted__is_their_sum_and_without_one_that_of_transcoding(priced):
    orchestrator = await priced(models={IMAGES: Fraction(1000), ("upscale", "u"): Fraction(11)})
    both = {Capability.TEXT_TO_IMAGE: [MODEL], Capability.UPSCALE: ["u"]}
    assert (await orchestrator.info(wanting(orchestrator, both))).price == 1011
    assert (await orchestrator.info(wanting(orchestrator, {Capability.TEXT_TO_IMAGE: ["unknown"]}))).price == 1200
    assert (await orchestrator.info(wanting(orchestrator, {}, ids=[0]))).price == 1200


async def test_price__models_by_capacities_and_not_by_bits(priced):
    """With an empty map every set bit has a capacity of 1; with another map only what is in it counts."""
    orchestrator = await priced(models={IMAGES: Fraction(1000)})
    models = {Capability.TEXT_TO_IMAGE: [MODEL]}
    assert (await orchestrator.info(wanting(orchestrator, models, capacities={0: 1}))).price == 1200
    assert (await orchestrator.info(wanting(orchestrator, models, capacities={}))).price == 1000
    message = request_to_proto(wanting(orchestrator, models, capacities={}))
    del message.capabilities.bitstring[:]
    info = info_from_proto(await orchestrator.call("GetOrchestrator", message, pb.OrchestratorInfo))
    assert info.price == 1200


async def test_price__adjusted__is_whole_thousandths_of_a_wei(priced):
    orchestrator = await priced(video=Fraction(1, 3), auto_adjust=True)
    price = (await orchestrator.info()).price
    assert price == Fraction(336, 1000)  # a hundredth for redeeming, the rest cut off
    assert (1000 * price).denominator == 1


async def test_price__too_large_for_the_wire__is_refused(priced):
    orchestrator = await priced(video=Fraction(2**64))
    await refused(orchestrator.info(), "price cannot be converted to int64")


async def test_capability_prices__are_whole_wei_and_only_for_plain_requests(priced):
    orchestrator = await priced(models={IMAGES: Fraction(7, 2)})
    plain = await orchestrator.info()
    assert [(p.capability, p.model_id, p.price) for p in plain.capability_prices] == [(27, MODEL, 3)]
    assert (await orchestrator.info(wanting(orchestrator, {}, ids=[0]))).capability_prices == ()


async def test_ticket_params__are_what_the_chain_says(priced):
    orchestrator = await priced()
    params = (await orchestrator.info()).ticket_params
    head = orchestrator.chain.head()
    assert params.recipient == RECIPIENT
    assert params.expiration_block == head.l1_block + 40
    assert params.expiration.creation_round == head.last_initialized_round
    assert params.expiration.creation_round_block_hash == head.round_block_hash
    assert 0 < params.win_prob < 2**256 - 1
    assert params.face_value > 8_000_000_000
    quote = await orchestrator.payments.quote(GATEWAY)
    assert commitment(random_of(orchestrator.payments, quote)) == quote.ticket_params.recipient_rand_hash


async def test_ticket_params__round_without_a_hash__are_of_the_one_before(priced):
    orchestrator = await priced()
    orchestrator.chain.move(round_block_hash=b"\0" * 32)
    params = (await orchestrator.info()).ticket_params
    assert params.expiration.creation_round == 3499
    assert params.expiration.creation_round_block_hash == b"\x22" * 32


async def test_ticket_params__no_round_with_a_hash__nothing_is_told(priced):
    orchestrator = await priced()
    orchestrator.chain.move(round_block_hash=b"\0" * 32, previous_round_block_hash=b"\0" * 32)
    await refused(orchestrator.info(), "Internal Server Error")


async def test_ticket_params__work_for_free__ask_for_nothing(priced):
    orchestrator = await priced(video=Fraction(0))
    info = await orchestrator.info()
    assert (info.price, info.ticket_params.face_value, info.ticket_params.win_prob) == (0, 0, 0)


async def test_ticket_params__sender_too_poor__are_refused(priced):
    orchestrator = await priced()
    orchestrator.chain.sender = a_sender(reserve_remaining=0)
    await refused(orchestrator.info(), "insufficient sender reserve")


async def test_auth_token__each_answer__is_a_new_session(priced):
    orchestrator = await priced()
    tokens = [(await orchestrator.info()).auth_token for _ in range(3)]
    assert len({token.session for token in tokens}) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}", token.session) for token in tokens)
    assert all(len(token.token) == 32 for token in tokens)


async def test_capabilities__asked_for_what_is_not_there__the_answer_tells_what_is(priced):
    """The gateway compares; the node does not refuse."""
    orchestrator = await priced()
    info = await orchestrator.info(orchestrator.signed(Capabilities.of({Capability.HEVC_ENCODE})))
    assert Capability.HEVC_ENCODE not in info.capabilities.ids


async def test_live_video__no_free_model__is_capped_unless_told_to_ignore_it(priced):
    orchestrator = await priced()
    request = wanting(orchestrator, {Capability.LIVE_VIDEO_TO_VIDEO: ["comfyui"]})
    await refused(orchestrator.info(request), CAPPED)
    assert (await orchestrator.info(replace(request, ignore_capacity_check=True))).auth_token is not None


async def test_full_node__told_to_ignore_the_capacity__is_capped_all_the_same(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder(room=0))
    await refused(orchestrator.info(OrchestratorRequest(ignore_capacity_check=True)), CAPPED)


async def test_no_work_address__told_empty_with_nodes__and_answered_as_if_nothing_were_needed(serve, tmp_path):
    async with a_desk(tmp_path / "store.sqlite3") as (payments, _, _, _):
        payments.set_prices(some_prices(models={IMAGES: Fraction(40)}))
        orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, discovery_only=True, nodes=("https://n:1",))
        needs = Capabilities.of(range(13), models={Capability.TEXT_TO_IMAGE: {MODEL: ModelConstraint()}})
        for request in (orchestrator.signed(), orchestrator.signed(needs)):
            info = await orchestrator.info(request)
            assert (info.transcoder, info.nodes) == ("", ("https://n:1",))
            assert info.price == 1200  # of pixels, whatever model was named
            assert [(price.model_id, price.price) for price in info.capability_prices] == [(MODEL, 40)]
            assert info.auth_token


async def test_withheld__only_the_one_account_hears_of_the_node(priced):
    orchestrator = await priced()
    orchestrator.server.offer_to(STRANGER.address)
    await refused(orchestrator.info(orchestrator.signed()), CAPPED)
    await refused(orchestrator.info(wanting(orchestrator, {27: [MODEL]})), CAPPED)
    orchestrator.server.offer_to(GATEWAY)
    assert (await orchestrator.info()).auth_token is not None
    orchestrator.server.offer_to(None)
    assert (await orchestrator.info()).auth_token is not None
