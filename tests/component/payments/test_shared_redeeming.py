"""Redeemers that share a database: one at a time redeems, and everybody knows what is under way."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from livefleet.chain import Postgres, PostgresLeases
from livefleet.kernel import SystemClock, Transient, Wei
from livefleet.payments import FleetMonitor, PostgresStore, RedeemingTurn, SenderMonitor, TurnTaking
from tests.builders.payments import ETH, GATEWAY, ORCHESTRATOR, OTHER, ToldChain, a_sender, a_winner

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
SHARE = ETH // 10


@asynccontextmanager
async def a_database(url):
    """With tables."""
    async with Postgres(url, tls=None) as database, PostgresStore(database, name="fleet/node"):
        yield database


@asynccontextmanager
async def a_turn(url, holder, ttl_s=30.0):
    async with (
        Postgres(url, tls=None) as database,
        PostgresLeases(database) as leases,
        RedeemingTurn(leases, ORCHESTRATOR, holder, clock=SystemClock(), ttl_s=ttl_s) as turn,
    ):
        yield turn


async def until(holds, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)


async def test_turn__one_redeems_and_the_other_says_who__and_follows_when_it_leaves(postgres):
    url = postgres.database()
    told = []
    async with AsyncExitStack() as first:
        one = await first.enter_async_context(a_turn(url, "fleet/one"))
        assert one.is_ours
        async with a_turn(url, "fleet/two", ttl_s=0.6) as two:
            assert not two.is_ours
            assert two.standing_by == "fleet/one redeems for this recipient"
            two.subscribe(lambda: told.append(two.is_ours))
            await first.aclose()
            await until(lambda: two.is_ours)
            assert told == [True]
            assert two.standing_by == ""
            async with a_turn(url, "fleet/one") as again:
                assert not again.is_ours
                assert "fleet/two" in again.standing_by


async def test_turn__holder_killed__other_has_it_within_the_ttl(postgres):
    url, ttl_s = postgres.database(), 3.0
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDING, url, str(ttl_s)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(30):
            assert await child.stdout.readline() == b"holding\n"
        async with a_turn(url, "fleet/two", ttl_s=ttl_s) as two:
            assert not two.is_ours
            child.send_signal(signal.SIGKILL)
            killed_at = asyncio.get_running_loop().time()
            await until(lambda: two.is_ours)
            assert asyncio.get_running_loop().time() - killed_at < ttl_s + ttl_s / 3 + 0.5
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


HOLDING = """
import asyncio, sys
from tests.component.payments.test_shared_redeeming import a_turn
async def main():
    async with a_turn(sys.argv[1], "fleet/one", float(sys.argv[2])) as turn:
        assert turn.is_ours
        print("holding", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_turn__database_away_longer_than_the_lease__sends_nothing(postgres):
    class Away:
        async def take(self, name, holder, ttl_s):
            if self.there:
                return True
            raise Transient("the database is away")

        async def release(self, name, holder):
            raise Transient("the database is away")

    leases = Away()
    leases.there = True
    async with RedeemingTurn(leases, ORCHESTRATOR, "one", clock=SystemClock(), ttl_s=0.3) as turn:
        sent = Sent()
        chain = TurnTaking(sent, turn)
        await chain.redeem([a_winner()], gas=1, limit=None)
        leases.there = False
        await until(lambda: not turn.is_ours)
        with pytest.raises(Transient):
            await chain.redeem([a_winner()], gas=1, limit=None)
        assert sent.times == 1
        await until(lambda: "the database is away" in turn.standing_by)
        leases.there = True
        await until(lambda: turn.is_ours and not turn.standing_by)


class Sent:
    times = 0

    async def redeem(self, winners, *, gas, limit):
        self.times += 1


async def test_float__redemptions_under_way_elsewhere__count_here_until_they_end(postgres):
    url = postgres.database()
    chain = ToldChain(sender=a_sender(deposit=Wei(0)))
    async with (
        a_database(url) as database,
        FleetMonitor(chain, database, ORCHESTRATOR) as orchestrator,
        FleetMonitor(chain, database, ORCHESTRATOR) as first,
        FleetMonitor(chain, database, ORCHESTRATOR) as second,
        FleetMonitor(chain, database, OTHER) as stranger,
    ):
        changed = []
        orchestrator.subscribe(lambda: changed.append(1))
        with first.redeeming(GATEWAY, Wei(1000)), second.redeeming(GATEWAY, Wei(200)):
            with first.redeeming(GATEWAY, Wei(30)):
                await until(lambda: orchestrator.pending(GATEWAY) == 1230)
                assert changed
                assert await orchestrator.max_float(GATEWAY) == SHARE - 1230
                await until(lambda: first.pending(GATEWAY) == second.pending(GATEWAY) == 1230)
            await until(lambda: orchestrator.pending(GATEWAY) == 1200)
            assert stranger.pending(GATEWAY) == 0
        await until(lambda: orchestrator.pending(GATEWAY) == 0)
        assert await orchestrator.max_float(GATEWAY) == SHARE


async def test_float__redeemer_killed_with_tickets_under_way__they_stop_counting(postgres):
    url = postgres.database()
    chain = ToldChain()
    async with (
        a_database(url) as database,
        FleetMonitor(chain, database, ORCHESTRATOR, too_old_s=0.5) as orchestrator,
    ):
        gone = FleetMonitor(chain, database, ORCHESTRATOR)
        gone._pending[GATEWAY] = 1000
        await gone.exchange()
        await orchestrator.exchange()
        assert orchestrator.pending(GATEWAY) == 1000
        await until(lambda: orchestrator.pending(GATEWAY) == 0)


async def test_float__nobody_shares__is_the_plain_monitors(postgres):
    chain = ToldChain()
    async with a_database(postgres.database()) as database, FleetMonitor(chain, database, ORCHESTRATOR) as shared:
        plain = SenderMonitor(chain)
        for monitor in (shared, plain):
            with monitor.redeeming(GATEWAY, Wei(7)):
                assert monitor.pending(GATEWAY) == 7
        assert await shared.max_float(GATEWAY) == await plain.max_float(GATEWAY)
