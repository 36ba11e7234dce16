"""What strangers can make the chain's node do: real GetOrchestrator requests, a real endpoint that counts."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import grpc
import pytest

from livefleet.chain import ChainWatcher, LocalSigner, connect
from livefleet.chain.contracts.bonding_manager import IS_ACTIVE_TRANSCODER
from livefleet.chain.contracts.ticket_broker import GET_SENDER_INFO
from livefleet.kernel import Refused, SessionId, Transient, Wei
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.messages import OrchestratorRequest
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from livefleet.wire.signing import request_message
from livefleet.wire.translate import request_to_proto
from tests.builders.payments import GATEWAY, GATEWAY_KEY, ORCHESTRATOR, a_desk, pay
from tests.builders.rpc_proxy import counting_rpc
from tests.builders.wire import ORCHESTRATOR as SIGNER
from tests.builders.wire import RecordingTranscoder
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

BURST = 50
STRANGERS = 150
INFO, ACTIVE = ("0x" + function.selector.hex() for function in (GET_SENDER_INFO, IS_ACTIVE_TRANSCODER))


def a_stranger(number):
    return LocalSigner((10**6 + number).to_bytes(32, "big"))  # test-only


def asking(signer, *, signed=True):
    raw = bytes.fromhex(signer.address[2:])
    signature = signer.sign_message(request_message(raw)) if signed else bytes(65)
    return request_to_proto(OrchestratorRequest(raw, signature, None))


@pytest.fixture
async def door(serve, devchain, tmp_path):
    """An on-chain orchestrator whose node is behind a counting endpoint; its poll loop stands still."""
    await devchain.activate_orchestrator(dev_signer(1))
    await devchain.fund_gateway(dev_signer(4).address, deposit=Wei(10**18), reserve=Wei(10**18))
    async with AsyncExitStack() as stack:
        counts = await stack.enter_async_context(counting_rpc(devchain.info.rpc))
        network = devchain.info.network.model_copy(update={"rpc": (counts.url,)})
        client = await stack.enter_async_context(await connect(network))
        watcher = ChainWatcher(client, recipient=ORCHESTRATOR)
        await watcher.look()
        payments, *_ = await stack.enter_async_context(a_desk(tmp_path / "store", chain=watcher))
        orchestrator = await serve(payments=payments, signer=SIGNER, transcoder=RecordingTranscoder())
        channel = await stack.enter_async_context(await open_channel(parse_endpoint(orchestrator.uri), timeout_s=30))
        counts.calls.clear()
        orchestrator.counts, orchestrator.watcher, orchestrator.payments = counts, watcher, payments
        orchestrator.stub = rpc.OrchestratorStub(channel)
        yield orchestrator


async def answers(door, requests):
    """What each was told: the recipient in its ticket parameters, or the error's text."""

    async def one(request):
        try:
            return (await door.stub.GetOrchestrator(request, timeout=30)).ticket_params.recipient.hex()
        except grpc.aio.AioRpcError as error:
            return error.details()

    return await asyncio.gather(*(one(request) for request in requests))


async def test_strangers__many_signed_requests__cost_the_node_no_more_than_the_bound(door):
    told = await answers(door, [asking(a_stranger(number)) for number in range(STRANGERS)])

    assert told.count("insufficient sender reserve") >= BURST
    assert set(told) == {"insufficient sender reserve", "Internal Server Error"}
    assert BURST <= door.counts.calls[INFO] < STRANGERS


async def test_stranger__asks_often__costs_the_node_one_question_a_block(door, devchain):
    told = await answers(door, [asking(a_stranger(1))] * 40)
    assert set(told) == {"insufficient sender reserve"}
    assert door.counts.calls[INFO] == 1

    await devchain.mine(1)
    await door.watcher.look()
    assert door.counts.calls[INFO] == 1  # strangers do not ride along
    await answers(door, [asking(a_stranger(1))] * 10)
    assert door.counts.calls[INFO] == 2


async def test_requests_that_are_not_signed__cost_the_node_nothing(door):
    told = await answers(door, [asking(a_stranger(number), signed=False) for number in range(20)])

    assert set(told) == {"Invalid orchestrator request: orchestrator req sig check failed"}
    assert not door.counts.calls


async def test_sender_that_pays__is_served_while_strangers_flood__and_keeps_riding_along(door, devchain):
    ours = bytes.fromhex(ORCHESTRATOR[2:]).hex()
    paying = asking(dev_signer(4))
    assert await answers(door, [paying]) == [ours]

    strangers = [asking(a_stranger(number)) for number in range(STRANGERS)]
    told = await answers(door, [*strangers[:100], paying, *strangers[100:], paying])
    assert told[100] == told[-1] == ours

    await devchain.mine(1)
    await door.watcher.look()
    before = door.counts.calls[INFO]
    assert await answers(door, [paying] * 5) == [ours] * 5
    assert door.counts.calls[INFO] == before


async def test_sender_known_from_the_store__is_asked_about_while_strangers_flood(door):
    await answers(door, [asking(a_stranger(number)) for number in range(STRANGERS)])
    door.watcher.know([dev_signer(4).address])
    others = [asking(a_stranger(number)) for number in range(STRANGERS, STRANGERS + 50)]
    told = await answers(door, [*others, asking(dev_signer(4))])
    assert told[-1] == bytes.fromhex(ORCHESTRATOR[2:]).hex()


async def test_payments_that_name_other_recipients__cost_the_node_no_more_than_the_bound(door, devchain):
    door.watcher.know([GATEWAY])
    await devchain.fund_gateway(dev_signer(4).address, deposit=Wei(1), reserve=Wei(1))
    quote = await door.payments.quote(dev_signer(4).address)
    payment = pay(quote, [1], key=GATEWAY_KEY)
    texts = []
    for number in range(STRANGERS):
        params = replace(payment.ticket_params, recipient=a_stranger(number).address)
        try:
            await door.payments.receive(replace(payment, ticket_params=params), SessionId("aabbccdd"))
        except (Refused, Transient) as error:
            texts.append(str(error))
    assert len(texts) == STRANGERS
    assert BURST <= door.counts.calls[ACTIVE] < STRANGERS
    assert any("is inactive in round" in text for text in texts)
    assert "too many unknown orchestrators at the moment" in texts
