"""kill -9 between a batch's sending and its settlement: the next life finds what became of each ticket."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from livefleet.kernel import Wei
from livefleet.payments import SqliteStore, TicketState, read_tickets
from tests.builders.redeeming import LocalRedeeming, a_local_winner, hold_blocks, let_blocks_go, put
from tests.devchain.accounts import dev_signer

pytestmark = [pytest.mark.component, pytest.mark.timeout(90)]

ROOT = Path(__file__).parents[3]
GATEWAY, ORCHESTRATOR, REDEEMER = (dev_signer(index) for index in (4, 1, 7))
FACE = 10**16
COUNT = 3


@asynccontextmanager
async def _killed_after_sending(devchain, chain_folder, folder):
    """The chain with a batch in its pool, whose sender was killed; no block has taken it."""
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.fund_gateway(GATEWAY.address, deposit=Wei(10**18), reserve=Wei(10**18))
    async with SqliteStore(folder / "store") as store:
        winners = [
            await a_local_winner(devchain.client, GATEWAY, ORCHESTRATOR.address, nonce=nonce)
            for nonce in range(1, COUNT + 1)
        ]
        await put(store, *winners)
    await hold_blocks(devchain)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.component.payments.redeeming_child", str(chain_folder), str(folder)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}/agent"},
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(40):
            assert await child.stdout.readline() == b"sent\n"
    finally:
        child.kill()
        await child.wait()
    yield winners


async def _transactions(devchain):
    return int(await devchain.client.rpc.request("eth_getTransactionCount", REDEEMER.address, "latest"), 16)


async def test_killed__mined_while_away__is_found_with_what_each_ticket_was_paid(devchain, tmp_path):
    async with _killed_after_sending(devchain, tmp_path / "devchain", tmp_path):
        await let_blocks_go(devchain)
        async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
            await _until_none_is_pending(local)

        stored = read_tickets(tmp_path / "store")
        assert [(t.state, t.paid) for t in stored] == [(TicketState.REDEEMED, FACE)] * COUNT
        assert len({t.tx_hash for t in stored} - {None}) == 1
        assert await _transactions(devchain) == 1


async def test_killed__still_in_the_pool__is_waited_for_and_not_sent_again(devchain, tmp_path):
    async with _killed_after_sending(devchain, tmp_path / "devchain", tmp_path):
        async with LocalRedeeming(devchain, tmp_path, ORCHESTRATOR.address) as local:
            first = await local.run_once()
            assert (first.in_flight, first.sent, first.waiting) == (COUNT, 0, {})
            await let_blocks_go(devchain)
            await _until_none_is_pending(local)

        assert {t.paid for t in read_tickets(tmp_path / "store")} == {FACE}
        assert await _transactions(devchain) == 1


async def _until_none_is_pending(local):
    async with asyncio.timeout(30):
        while local.store.totals.of(TicketState.PENDING).count:
            await local.run_once()
            await asyncio.sleep(0.05)
