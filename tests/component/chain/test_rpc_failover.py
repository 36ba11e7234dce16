"""Calls over endpoints of which some misbehave."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from livefleet.chain import EndpointState, NodeError, NoProtocol, Reverted, Rpc, WrongChain, connect
from livefleet.chain.contracts.rounds_manager import BLOCK_NUM
from livefleet.kernel import BadInput, Transient
from livefleet.spec import Network, RpcEndpoint
from tests.builders.clock import HandClock
from tests.builders.unruly_rpc import an_unruly_rpc
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

DEAD = "http://127.0.0.1:9"  # nothing listens on the discard port


@asynccontextmanager
async def two_endpoints(devchain, *, clock=None, **options):
    """The first declared, the second, and the client over both."""
    async with (
        an_unruly_rpc(devchain.info.rpc) as first,
        an_unruly_rpc(devchain.info.rpc) as second,
        Rpc([first.url, second.url], chain_id=devchain.info.chain_id, lag_blocks=2, clock=clock, **options) as rpc,
    ):
        yield first, second, rpc


@pytest.mark.parametrize(
    "fault",
    [
        {"busy": True},
        {"status": 502},
        {"status": 401},
        {"garbage": True},
        {"empty": True},
        {"no_results": True},
        {"cuts": True},
        {"refuses": True},
        {"chain_id": 1},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_request__first_endpoint_is_of_no_use__the_same_call_goes_on_to_the_next(devchain, fault):
    async with two_endpoints(devchain) as (first, _, rpc):
        await first.become(**fault)
        assert await rpc.block_number() == await devchain.client.rpc.block_number()
        assert [e.state for e in rpc.endpoints] == [EndpointState.RESTING, EndpointState.HEALTHY]
        assert rpc.endpoints[0].why


async def test_request__first_endpoint_hangs__is_given_up_after_moments_and_not_asked_again(devchain):
    async with two_endpoints(devchain) as (first, _, rpc):
        for _ in range(3):
            await rpc.block_number()
        await first.become(hangs=True)
        began = time.perf_counter()
        assert await rpc.block_number() == await devchain.client.rpc.block_number()
        assert time.perf_counter() - began < 2.0
        asked, began = first.posts, time.perf_counter()
        await rpc.block_number()
        assert first.posts == asked
        assert time.perf_counter() - began < 0.5
        assert "while another gave one" in rpc.endpoints[0].why


async def test_request__all_endpoints_are_slow__the_first_answer_counts_and_nobody_is_lost(devchain):
    async with two_endpoints(devchain) as (first, second, rpc):
        await rpc.block_number()
        await first.become(slow_s=2.0)
        await second.become(slow_s=2.0)
        assert await rpc.block_number() >= 0


async def test_request__method_that_must_not_happen_twice__is_not_asked_beside(devchain):
    async with two_endpoints(devchain) as (first, second, rpc):
        await rpc.block_number()
        await first.become(slow_s=1.5, only=["anvil_mine"])
        before = await devchain.client.rpc.block_number()
        await rpc.request("anvil_mine", "0x1")
        assert await devchain.client.rpc.block_number() == before + 1
        assert second.methods["anvil_mine"] == 0


async def test_request__endpoint_with_a_key_in_it__is_not_told(devchain, caplog):
    # Words that stand in no path: log records name the file that they come from.
    name, word, key = "n4me-of-login", "w0rd-of-login", "k3y-of-provider"
    async with an_unruly_rpc(devchain.info.rpc) as endpoint:
        await endpoint.become(status=502)
        secret_url = f"{endpoint.url.replace('//', f'//{name}:{word}@')}/v2/{key}?k={key}"
        async with Rpc([secret_url], chain_id=1) as rpc:
            with pytest.raises(Transient) as caught:
                await rpc.block_number()
            told = str(caught.value) + str(rpc.endpoints)
    told += caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert endpoint.url in told
    assert not any(secret in told for secret in (name, word, key))


async def test_request__nobody_listens__goes_on_and_rests_the_dead_endpoint(devchain, caplog):
    async with Rpc([DEAD, devchain.info.rpc], chain_id=devchain.info.chain_id) as rpc:
        for _ in range(3):
            assert await rpc.chain_id() == devchain.info.chain_id
    assert [record.message for record in caplog.records].count("rpc.endpoint_resting") == 1


async def test_request__endpoint_dies_between_calls_and_comes_back__others_serve_until_it_proved_itself(devchain):
    clock = HandClock()
    async with two_endpoints(devchain, clock=clock) as (first, _, rpc):
        await rpc.block_number()
        await first.become(refuses=True)
        await rpc.block_number()
        await first.behave()
        clock.time += 6.0  # its rest is over
        assert rpc.endpoints[0].state is EndpointState.RECOVERING
        first.forget_counts()
        await rpc.block_number()
        assert first.posts == 0  # no call depends on it yet
        assert rpc.wants_survey
        await rpc.survey()
        assert rpc.endpoints[0].state is EndpointState.HEALTHY
        await rpc.block_number()
        assert first.methods["eth_blockNumber"] == 1


async def test_request__endpoint_wants_to_be_left_alone__rests_as_long_as_it_says(devchain):
    clock = HandClock()
    async with two_endpoints(devchain, clock=clock) as (first, _, rpc):
        await first.become(busy=True, retry_after_s=120)
        await rpc.block_number()
        clock.time += 119.0
        assert rpc.endpoints[0].state is EndpointState.RESTING
        clock.time += 2.0
        assert rpc.endpoints[0].state is EndpointState.RECOVERING


async def test_request__all_endpoints_fail__says_what_each_one_did(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([DEAD, endpoint.url], timeout_s=5) as rpc:
        await endpoint.become(status=502)
        with pytest.raises(Transient) as failed:
            await rpc.chain_id()
    assert DEAD in str(failed.value)
    assert endpoint.url in str(failed.value)
    assert "502" in str(failed.value)


async def test_request__all_endpoints_rest__are_asked_all_the_same(devchain):
    async with two_endpoints(devchain) as (first, second, rpc):
        for endpoint in (first, second):
            await endpoint.become(refuses=True)
        for _ in range(2):
            with pytest.raises(Transient):
                await rpc.block_number()
        await second.behave()
        assert await rpc.block_number() >= 0


async def test_request__chain_was_right_before_and_is_another_now__is_worth_another_try(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await rpc.block_number()
        await endpoint.become(refuses=True)
        with pytest.raises(Transient):
            await rpc.block_number()
        await endpoint.become(chain_id=5)
        with pytest.raises(Transient, match="serves chain 5"):
            await rpc.block_number()
        await endpoint.behave()
        assert await rpc.block_number() >= 0


async def test_request__revert__is_the_contracts_answer_and_rests_nobody(devchain):
    call = devchain.client.rounds.initialize_round_call()
    async with Rpc([devchain.info.rpc, DEAD]) as rpc:
        with pytest.raises(Reverted, match="round already initialized"):
            await rpc.simulate(call, dev_signer(1).address)
        assert await rpc.block_number() > 0


async def test_read__pinned_to_a_block__goes_to_an_endpoint_that_has_it(devchain):
    rounds = devchain.client.rounds
    async with two_endpoints(devchain) as (first, _, rpc):
        await devchain.mine(10)
        head = await devchain.client.rpc.block_number()
        await first.become(stale_by=8)
        (number,) = await rpc.read(rounds.read(BLOCK_NUM), block=head)
        assert number == head
        assert rpc.endpoints[0].state is EndpointState.HEALTHY  # behind is no failure
        first.forget_counts()
        await rpc.read(rounds.read(BLOCK_NUM), block=head)
        assert first.posts == 0


async def test_read__no_endpoint_has_the_block_yet__it_is_waited_for_a_moment(devchain):
    await devchain.mine(10)
    head = await devchain.client.rpc.block_number()
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await endpoint.become(stale_by=1)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(rpc.read(devchain.client.rounds.read(BLOCK_NUM), block=head))
            await asyncio.sleep(0.2)
            await devchain.mine()
        assert reading.result() == (head,)
        with pytest.raises(Transient, match="has the block"):
            await rpc.read(devchain.client.rounds.read(BLOCK_NUM), block=head + 50)


async def test_latest__first_endpoint_is_stale__is_asked_last_until_it_has_caught_up(devchain, caplog):
    async with two_endpoints(devchain) as (first, _, rpc):
        await devchain.mine(30)
        head = await rpc.block_number()
        await first.become(stale_by=20)
        assert (await rpc.latest(at_least=head)).number == head
        assert "rpc.endpoint_behind" in caplog.text
        assert rpc.endpoints[0].is_behind
        assert await rpc.block_number() == head
        await first.behave()
        await rpc.survey()
        assert not rpc.endpoints[0].is_behind


async def test_survey__endpoint_quick_but_stale__is_found_though_nobody_saw_more(devchain):
    async with two_endpoints(devchain) as (first, _, rpc):
        await devchain.mine(30)
        await first.become(stale_by=20)
        stale = await rpc.block_number()
        await rpc.survey()
        assert await rpc.block_number() == stale + 20


@pytest.mark.parametrize(
    ("fault", "why"),
    [({"hangs": True}, "no answer"), ({"chain_id": 7}, "serves chain 7"), ({"status": 500}, "500")],
    ids=["hangs", "chain_id", "status"],
)
async def test_survey__endpoint_that_nobody_needed__rests_before_it_is_needed(devchain, fault, why):
    async with two_endpoints(devchain) as (_, second, rpc):
        await rpc.block_number()
        await second.become(**fault)
        await rpc.survey()
        assert rpc.endpoints[1].state is EndpointState.RESTING
        assert why in rpc.endpoints[1].why


async def test_survey__endpoints_disagree_about_a_block__the_one_that_is_alone_rests(devchain):
    await devchain.mine(20)
    anchor = await devchain.client.rpc.block_number() - 5
    (known,) = await devchain.client.rpc.headers([anchor])
    async with two_endpoints(devchain) as (first, _, rpc):
        await first.become(forked_at=anchor - 3)
        await rpc.survey(anchor, known.hash)
        assert [e.state for e in rpc.endpoints] == [EndpointState.RESTING, EndpointState.HEALTHY]
        assert "fork" in rpc.endpoints[0].why


async def test_request__budget_of_the_first_is_spent__the_next_is_asked(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as first, an_unruly_rpc(devchain.info.rpc) as second:
        declared = [RpcEndpoint(url=first.url, requests_per_second=4), RpcEndpoint(url=second.url)]
        async with Rpc(declared) as rpc:
            await asyncio.gather(*(rpc.block_number() for _ in range(3)))
            for _ in range(20):
                await rpc.block_number()
        assert 4 <= first.methods.total() <= 12
        assert second.methods["eth_blockNumber"] >= 10


async def test_request__only_budget_is_spent__waits_for_it(devchain):
    async with (
        an_unruly_rpc(devchain.info.rpc) as only,
        Rpc([RpcEndpoint(url=only.url, requests_per_second=10), RpcEndpoint(url=DEAD)]) as rpc,
    ):
        began = time.perf_counter()
        for _ in range(15):
            await rpc.block_number()
        assert time.perf_counter() - began >= 0.4


async def test_send__signed_transaction__is_given_to_two_endpoints_and_one_that_takes_it_will_do(devchain):
    signer = dev_signer(3)
    fields = {
        "type": 2,
        "chainId": devchain.info.chain_id,
        "nonce": 0,
        "to": signer.address,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 10**11,
        "maxPriorityFeePerGas": 0,
    }
    raw = "0x" + (await signer.sign_transaction(fields)).hex()
    async with two_endpoints(devchain) as (first, second, rpc):
        await rpc.block_number()
        await first.become(cuts=True)
        tx_hash = await rpc.request("eth_sendRawTransaction", raw)
        assert first.methods["eth_sendRawTransaction"] >= 1
        assert second.methods["eth_sendRawTransaction"] >= 1
        assert (await rpc.request("eth_getTransactionReceipt", tx_hash))["status"] == "0x1"
        await first.behave()
        await rpc.survey()
        with pytest.raises(NodeError, match="nonce too low"):
            await rpc.request("eth_sendRawTransaction", raw)


async def test_batch__endpoint_without_batches__is_asked_one_by_one_and_remembered(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await endpoint.become(no_batches=True)
        for _ in range(2):
            block, price = await rpc.batch([("eth_blockNumber", ()), ("eth_gasPrice", ())])
        assert int(block, 16) == await devchain.client.rpc.block_number()
        assert int(price, 16) > 0
        assert endpoint.posts == 1 + 1 + 2 + 2  # the chain's id, one batch in vain, and each by itself twice


async def test_batch__answer_is_missing__is_no_answer(devchain):
    async with two_endpoints(devchain) as (first, _, rpc):
        await rpc.block_number()
        await first.become(drops_of_batch=True)
        block, _ = await rpc.batch([("eth_blockNumber", ()), ("eth_gasPrice", ())])
        assert int(block, 16) >= 0
        assert "1 answers to 2 requests" in rpc.endpoints[0].why


async def test_endpoints__what_was_asked__is_counted_by_method(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await rpc.block_number()
        await rpc.batch([("eth_blockNumber", ()), ("eth_gasPrice", ())])
        (health,) = rpc.endpoints
        assert health.by_method == endpoint.methods == {"eth_chainId": 1, "eth_blockNumber": 2, "eth_gasPrice": 1}
        assert health.last_hour == health.by_method
        assert health.requests == 4


async def test_connect__wrong_chain_id_or_no_controller_there__is_refused(devchain):
    network = devchain.info.network
    with pytest.raises(WrongChain, match="serves chain 1337, not 42161"):
        await connect(network.model_copy(update={"chain_id": 42161}))
    with pytest.raises(NoProtocol, match="no contract at the Controller's address"):
        await connect(network.model_copy(update={"controller": dev_signer(1).address}))
    with pytest.raises(BadInput, match="give the address of its Controller"):
        await connect(Network(name="devchain", rpc=(devchain.info.rpc,)))
