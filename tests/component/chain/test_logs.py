import pytest

from livefleet.chain import LogReader, RangeTooLarge, Rpc
from livefleet.chain.contracts.rounds_manager import NEW_ROUND
from livefleet.kernel import Transient
from tests.builders.unruly_rpc import an_unruly_rpc

pytestmark = pytest.mark.component

TOPICS = [[NEW_ROUND.topic]]
REFUSALS = [
    "query exceeds max block range {span}",
    "query returned more than 10000 results. Try with this block range [{first}, {last}].",
]


async def rounds_of(reader, devchain, first, last):
    """The rounds that began in these blocks, and where each piece ended."""
    ends, rounds = [], []
    async for end, logs in reader.read(
        addresses=[devchain.client.rounds.address], topics=TOPICS, first=first, last=last
    ):
        ends.append(end)
        rounds += [NEW_ROUND.decode(log.topics, log.data)[0] for log in logs]
    return rounds, ends


async def some_rounds(devchain, count=4):
    for _ in range(count):
        await devchain.next_round()
    return await devchain.client.rpc.block_number()


async def test_read__endpoint_that_allows_all__one_piece_in_chain_order(devchain):
    last = await some_rounds(devchain)
    rounds, ends = await rounds_of(LogReader(devchain.client.rpc), devchain, 0, last)
    assert rounds == [1, 2, 3, 4, 5]
    assert ends == [last]


async def test_read__one_log__has_what_the_receipt_says(devchain):
    last = await some_rounds(devchain, 1)
    pieces = [
        logs
        async for _, logs in LogReader(devchain.client.rpc).read(
            addresses=[devchain.client.rounds.address], topics=TOPICS, first=last, last=last
        )
    ]
    ((log,),) = pieces
    receipt = await devchain.client.rpc.request("eth_getTransactionReceipt", "0x" + log.tx_hash.hex())
    assert log.block_number == int(receipt["blockNumber"], 16) == last
    assert log.block_hash.hex() == receipt["blockHash"][2:]
    assert NEW_ROUND.matches(log.topics)
    assert log.address == devchain.client.rounds.address


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("words", REFUSALS)
async def test_read__endpoint_that_refuses_long_ranges__reads_all_in_shorter_ones(devchain, words, status):
    last = await some_rounds(devchain)
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await endpoint.become(log_span=60, log_words=words, log_status=status, no_batches=status != 200)
        rounds, ends = await rounds_of(LogReader(rpc), devchain, 0, last)
    assert rounds == [1, 2, 3, 4, 5]
    assert ends == sorted(set(ends))
    assert ends[-1] == last
    assert len(ends) >= last // 60


async def test_read__endpoint_that_takes_no_range__raises_rather_than_turning_for_ever(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await endpoint.become(log_span=0)
        with pytest.raises(RangeTooLarge):
            await rounds_of(LogReader(rpc), devchain, 0, 20)
        assert endpoint.methods["eth_getLogs"] < 20


async def test_read__after_a_refusal__does_not_try_the_same_length_each_time(devchain):
    await devchain.mine(600)
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await endpoint.become(log_span=30)
        reader = LogReader(rpc, span=30)
        _, ends = await rounds_of(reader, devchain, 0, 599)
        assert len(ends) < 45
        assert endpoint.methods["eth_getLogs"] < len(ends) * 1.2
        await endpoint.behave()
        _, ends = await rounds_of(reader, devchain, 0, 599)
        assert len(ends) < 25  # grown again


async def test_read__endpoint_behind_the_last_block__is_no_answer(devchain):
    last = await some_rounds(devchain, 1)
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        await endpoint.become(stale_by=3)
        with pytest.raises(Transient, match=f"block {last}"):
            await rounds_of(LogReader(rpc), devchain, 0, last)


async def test_read__one_endpoint_of_two_refuses__the_other_is_asked_from_then_on(devchain):
    await devchain.mine(300)
    async with (
        an_unruly_rpc(devchain.info.rpc) as strict,
        an_unruly_rpc(devchain.info.rpc) as generous,
        Rpc([strict.url, generous.url]) as rpc,
    ):
        await strict.become(log_span=10)
        _, ends = await rounds_of(LogReader(rpc, span=100), devchain, 0, 299)
        assert len(ends) <= 3
        assert strict.methods["eth_getLogs"] == 1


async def test_read__no_block_at_all__asks_nobody(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, Rpc([endpoint.url]) as rpc:
        assert await rounds_of(LogReader(rpc), devchain, 5, 4) == ([], [])
        assert endpoint.posts == 0
