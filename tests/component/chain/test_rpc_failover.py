from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from livefleet.chain import NoProtocol, Reverted, Rpc, WrongChain, connect
from livefleet.kernel import BadInput, Transient
from livefleet.spec import Network
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

DEAD = "http://127.0.0.1:9"  # nothing listens on the discard port


@asynccontextmanager
async def _endpoint(answer):
    """A real HTTP server in the place of an endpoint; `answer(request body)` gives what it returns."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(await request.json())

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _busy(_body):
    return web.json_response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "limit exceeded"}})


def _broken(_body):
    return web.Response(status=502, text="<html>bad gateway</html>")


def _nonsense(_body):
    return web.Response(text="not JSON")


def _chain_1(_body):
    return web.json_response({"jsonrpc": "2.0", "id": 1, "result": "0x1"})


@pytest.mark.parametrize("answer", [_busy, _broken, _nonsense, _chain_1], ids=lambda answer: answer.__name__)
async def test_request__first_endpoint_is_of_no_use__the_same_call_goes_on_to_the_next(devchain, answer):
    async with _endpoint(answer) as url, Rpc([url, devchain.info.rpc], chain_id=devchain.info.chain_id) as rpc:
        assert await rpc.block_number() == await devchain.client.rpc.block_number()


async def test_request__endpoint_with_a_key_in_it__is_not_told(caplog):
    # Words that stand in no path: log records name the file that they come from.
    name, word, key = "n4me-of-login", "w0rd-of-login", "k3y-of-provider"
    async with _endpoint(_broken) as url:
        secret_url = f"{url.replace('//', f'//{name}:{word}@')}/v2/{key}?k={key}"
        async with Rpc([secret_url], chain_id=1) as rpc:
            with pytest.raises(Transient) as caught:
                await rpc.block_number()
    told = str(caught.value) + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert url in told
    assert not any(secret in told for secret in (name, word, key))


async def test_request__nobody_listens__goes_on_and_rests_the_dead_endpoint(devchain, caplog):
    async with Rpc([DEAD, devchain.info.rpc], chain_id=devchain.info.chain_id) as rpc:
        for _ in range(3):
            assert await rpc.chain_id() == devchain.info.chain_id
    assert [record.message for record in caplog.records].count("rpc.endpoint_resting") == 1


async def test_request__endpoint_dies_between_calls__the_next_takes_over(devchain):
    def proxy_once(body):
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": hex(devchain.info.chain_id)})

    async with AsyncExitStack() as stack:
        server = _endpoint(proxy_once)
        url = await server.__aenter__()
        rpc = await stack.enter_async_context(Rpc([url, devchain.info.rpc], chain_id=devchain.info.chain_id))
        assert await rpc.chain_id() == devchain.info.chain_id
        await server.__aexit__(None, None, None)
        assert await rpc.block_number() == await devchain.client.rpc.block_number()


async def test_request__all_endpoints_fail__says_what_each_one_did():
    async with _endpoint(_broken) as url, Rpc([DEAD, url], timeout_s=5) as rpc:
        with pytest.raises(Transient) as failed:
            await rpc.chain_id()
    assert DEAD in str(failed.value)
    assert url in str(failed.value)
    assert "502" in str(failed.value)


async def test_request__revert__is_the_contracts_answer_and_rests_nobody(devchain):
    call = devchain.client.rounds.initialize_round_call()
    async with Rpc([devchain.info.rpc, DEAD]) as rpc:
        with pytest.raises(Reverted, match="round already initialized"):
            await rpc.simulate(call, dev_signer(1).address)
        assert await rpc.block_number() > 0


async def test_batch__endpoint_without_batches__is_asked_one_by_one(devchain):
    def singles_only(body):
        if isinstance(body, list):
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batch"}})
        results = {"eth_chainId": hex(devchain.info.chain_id), "eth_blockNumber": "0x7", "eth_gasPrice": "0x8"}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": results[body["method"]]})

    async with _endpoint(singles_only) as url, Rpc([url]) as rpc:
        assert await rpc.batch([("eth_blockNumber", ()), ("eth_gasPrice", ())]) == ["0x7", "0x8"]


async def test_connect__wrong_chain_id_or_no_controller_there__is_refused(devchain):
    network = devchain.info.network
    with pytest.raises(WrongChain, match="serves chain 1337, not 42161"):
        await connect(network.model_copy(update={"chain_id": 42161}))
    with pytest.raises(NoProtocol, match="no contract at the Controller's address"):
        await connect(network.model_copy(update={"controller": dev_signer(1).address}))
    with pytest.raises(BadInput, match="give the address of its Controller"):
        await connect(Network(name="devchain", rpc=(devchain.info.rpc,)))
