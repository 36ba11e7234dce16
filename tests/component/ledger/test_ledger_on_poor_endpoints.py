"""Books where the endpoints keep no old state, or are away for a while."""

import pytest

from livefleet.chain import Call, connect
from livefleet.kernel import BadInput, Transient, Wei
from livefleet.ledger import EntryKind, Ledger
from tests.builders.busy_orchestrator import ETH, ORCHESTRATOR, PARTIES, RICH, begin, head, redeem, reward
from tests.builders.forgetful_rpc import a_forgetful_rpc
from tests.builders.hasty_rpc import a_hasty_rpc
from tests.builders.unruly_rpc import an_unruly_rpc

pytestmark = pytest.mark.component


def _through(chain, url):
    return connect(chain.info.network.model_copy(update={"rpc": (url,)}))


async def test_advance__endpoint_without_old_state__books_fees_and_says_what_stays_unexplained(devchain, tmp_path):
    await begin(devchain)
    await devchain.fund_gateway(RICH.address, deposit=Wei(ETH), reserve=Wei(ETH))
    async with (
        a_forgetful_rpc(devchain.info.rpc, keeps=3) as url,
        await _through(devchain, url) as client,
        Ledger(client, tmp_path / "ledger.sqlite3", PARTIES) as ledger,
    ):
        await ledger.advance(await head(devchain))
        await redeem(devchain, RICH, face=ETH // 97, nonce=1)
        await reward(devchain)
        await devchain.sender.send(RICH, Call(to=ORCHESTRATOR.address, data=b"", value=Wei(10**15)))
        await devchain.mine(5)
        await ledger.advance(await head(devchain))
        checked = await ledger.check()
        assert checked.differences == ()
        assert not checked.balanced
        entries = await ledger.entries()
        unexplained = [entry for entry in entries if entry.kind is EntryKind.UNEXPLAINED]
        assert len(unexplained) == 2  # both keys spent gas that no source told of
        assert [entry.counterparty for entry in entries if entry.kind is EntryKind.FEE_SHARE] == [RICH.address]
        assert len([entry for entry in entries if entry.kind is EntryKind.REWARD_SHARE]) == 1


async def test_advance__begin_before_what_the_endpoint_knows__is_bad_input_that_names_the_way_out(devchain, tmp_path):
    begun = await begin(devchain)
    await devchain.mine(10)
    async with (
        a_forgetful_rpc(devchain.info.rpc, keeps=3) as url,
        await _through(devchain, url) as client,
        Ledger(client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun) as ledger,
    ):
        with pytest.raises(BadInput, match="an archive endpoint does"):
            await ledger.advance(await head(devchain))
        assert await ledger.closing() is None


async def test_advance__endpoint_goes_away_in_between__books_nothing_by_halves_and_goes_on(devchain, tmp_path):
    begun = await begin(devchain)
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        await _through(devchain, endpoint.url) as client,
        Ledger(client, tmp_path / "ledger.sqlite3", PARTIES, begin_at=begun, span=4) as ledger,
    ):
        await ledger.advance(begun)
        await reward(devchain)
        await devchain.mine(9)
        await endpoint.become(cuts=True, only=("eth_getBalance",))
        with pytest.raises(Transient):
            await ledger.advance(await head(devchain))
        assert (await ledger.closing()).block == begun
        await endpoint.behave()
        await ledger.advance(await head(devchain))
        assert (await ledger.check()).balanced


async def test_books__next_block_is_made_while_the_newest_is_read__meet_the_chain_at_the_one_asked_for(
    devchain, tmp_path
):
    await begin(devchain)
    await devchain.next_round()
    async with (
        a_hasty_rpc(devchain.info.rpc) as endpoint,
        await _through(devchain, endpoint.url) as client,
        Ledger(client, tmp_path / "ledger.sqlite3", PARTIES) as ledger,
    ):
        endpoint.next_block = lambda: devchain.give_lpt(ORCHESTRATOR.address, 7)
        await ledger.advance(await head(devchain))
        endpoint.next_block = lambda: devchain.sender.send(RICH, Call(to=ORCHESTRATOR.address, data=b"", value=Wei(5)))
        await ledger.advance(await head(devchain))
        await ledger.advance(last := await head(devchain))
        endpoint.next_block = lambda: reward(devchain)
        checked = await ledger.check()
        assert checked.block == last
        assert (checked.differences, checked.unexplained) == ((), 0)
        assert endpoint.hasty == 3
