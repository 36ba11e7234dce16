"""What the books cost in requests, and transactions that were replaced on their way."""

import asyncio

import pytest

from livefleet.chain import Call, TransactionPolicy, Transactions, connect
from livefleet.kernel import Wei
from livefleet.ledger import EntryKind, Ledger
from livefleet.reconcile.resources import ActiveSetResource
from tests.builders.busy_orchestrator import ORCHESTRATOR, PARTIES, REDEEMER, STRANGER, begin, head
from tests.builders.rpc_proxy import counting_rpc

pytestmark = pytest.mark.component


async def test_advance__nothing_happened__takes_a_handful_of_requests(devchain, tmp_path):
    await begin(devchain)
    async with (
        counting_rpc(devchain.info.rpc) as counts,
        await connect(devchain.info.network.model_copy(update={"rpc": (counts.url,)})) as client,
        Ledger(client, tmp_path / "ledger.sqlite3", PARTIES) as ledger,
    ):
        await ledger.advance(await head(devchain))
        place = ActiveSetResource(client, ORCHESTRATOR.address, margin_percent=10, every_s=60)
        await place.observe()
        await devchain.mine(200)
        before = sum(counts.methods.values())
        await ledger.advance(await head(devchain))
        assert (await ledger.check()).balanced
        await place.observe()
        taken = sum(counts.methods.values()) - before
    print(f"one look at books and place: {taken} JSON-RPC requests")
    assert taken <= 32


async def test_advance__transaction_replaced_before_it_was_mined__is_booked_once_under_the_mined_hash(
    devchain, tmp_path
):
    begun = await begin(devchain)
    client, request = devchain.client, devchain.client.rpc.request
    policy = TransactionPolicy(poll_s=0.05, replace_after_s=0.2)
    async with Transactions(
        client.rpc, REDEEMER, tmp_path / "transactions.sqlite3", chain_id=client.chain_id, policy=policy
    ) as transactions:
        (stop_mining,) = await client.rpc.batch([("evm_setAutomine", (False,))])
        assert stop_mining is not False
        sending = asyncio.create_task(transactions.send("greet", Call(to=STRANGER.address, data=b"", value=Wei(3))))
        for _ in range(200):
            pending = await transactions.pending()
            if pending and len(pending[0].attempts) > 1:
                break
            await asyncio.sleep(0.05)
        await client.rpc.batch([("evm_setAutomine", (True,))])
        await request("anvil_mine", hex(1))
        outcome = await sending
        for _ in range(200):
            settled = await transactions.settled(0)
            if settled:
                break
            await asyncio.sleep(0.05)
        assert len(settled[0].attempts) > 1
        async with Ledger(client, tmp_path / "ledger.sqlite3", PARTIES, gas=(transactions,), begin_at=begun) as ledger:
            await ledger.advance(await head(devchain))
            assert (await ledger.check()).balanced
            (spent,) = [entry for entry in await ledger.entries() if entry.kind is EntryKind.GAS]
            assert (spent.tx_hash, spent.note) == (outcome.tx_hash, "greet")
