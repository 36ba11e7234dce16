"""Conditions about an orchestrator's books, its place in the pool and what was done to it, read from a real chain."""

import pytest

from livefleet.chain.abi import Function
from livefleet.kernel import Status
from livefleet.ledger import Ledger
from livefleet.ledger.news import NewsKind, NewsWatch
from livefleet.reconcile.resources import ActiveSetResource, LedgerResource, NewsResource
from livefleet.roles.ledger_metrics import ledger_readings
from tests.builders.busy_orchestrator import (
    DELEGATOR,
    ORCHESTRATOR,
    PARTIES,
    RIVAL,
    STRANGER,
    begin,
    delegate,
    head,
    reward,
)
from tests.builders.chain import a_devchain
from tests.builders.metrics import Scrape, drift
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component

SET_UNBONDING_PERIOD = Function.parse("setUnbondingPeriod(uint64 rounds)")


async def _told(resource):
    plan = resource.plan(await resource.observe())
    (condition,) = plan.conditions
    assert not condition.gates_ready
    return condition


async def test_ledger_resource__books_that_agree__say_so_and_fill_the_metrics(devchain, tmp_path):
    begun = await begin(devchain)
    latest = begun

    async with Ledger(devchain.client, tmp_path / "ledger.sqlite3", PARTIES) as ledger:
        resource = LedgerResource(ledger, lambda: latest, every_s=60)
        assert (await _told(resource)).reason == "Balanced"
        await reward(devchain)
        latest = await head(devchain)
        told = await _told(resource)
        assert (told.status, told.reason) == (Status.TRUE, "Balanced")
        assert f"block {latest}" in told.message
        place = ActiveSetResource(devchain.client, ORCHESTRATOR.address, margin_percent=10, every_s=60)
        await place.observe()
        scrape = Scrape.of_readings(ledger_readings(resource.observed, place.standing))
    assert drift(scrape) == []
    assert scrape.value("livefleet_ledger_difference_units") == 0
    assert scrape.value("livefleet_ledger_gas_spent_wei_total") > 0
    assert scrape.value("livefleet_ledger_own_stake_lptu") > 1000 * LPT
    assert scrape.value("livefleet_active_set_rank") == 1


async def test_active_set__full_pool__warns_when_close_and_when_out(tmp_path):
    async with a_devchain(tmp_path / "chain", pool_max_size=2) as chain:
        await begin(chain)
        ours = ActiveSetResource(chain.client, ORCHESTRATOR.address, margin_percent=10, every_s=60)
        assert (await _told(ours)).reason == "InPool"
        await delegate(chain, 799 * LPT, to=RIVAL, who=STRANGER)
        assert (await _told(ours)).status is Status.FALSE
        out = ActiveSetResource(chain.client, STRANGER.address, margin_percent=10, every_s=60)
        told = await _told(out)
        assert (told.status, told.reason) == (Status.FALSE, "NotInPool")
        assert "1499.000000000000000001 LPT are missing" in told.message


async def test_news__stake_moves_parameters_and_eviction__are_told_once_and_graves_raise_an_alarm(tmp_path):
    async with a_devchain(tmp_path / "chain", pool_max_size=2) as chain:
        await begin(chain)
        now, path = 1_000_000.0, tmp_path / "news.json"

        def resource():
            watch = NewsWatch(chain.client, ORCHESTRATOR.address, path, stake_move_lpt=100)
            return NewsResource(watch, lambda: latest, lambda: now, every_s=60)

        latest = await head(chain)
        assert (await _told(resource())).reason == "Quiet"
        await delegate(chain, 99 * LPT)
        await delegate(chain, 100 * LPT)
        await chain.sender.send(dev_signer(DEPLOYER), chain.client.bonding.call(SET_UNBONDING_PERIOD, 9))
        latest = await head(chain)
        told = await _told(resource())
        assert (told.status, told.reason) == (Status.TRUE, "News")
        assert f"{DELEGATOR.address} bonded 100 LPT" in told.message
        assert "bonded 99" not in told.message
        assert "unbonding period changed from 7 to 9" in told.message

        await chain.activate_orchestrator(STRANGER, stake=3000 * LPT, advance=False)
        await chain.activate_orchestrator(dev_signer(8), stake=4000 * LPT, advance=False)
        latest = await head(chain)
        told = await _told(resource())
        latest_again = await NewsWatch(chain.client, ORCHESTRATOR.address, path, stake_move_lpt=100).read(latest, now)
        kinds = [item.kind for item in latest_again.items]
        assert kinds.count(NewsKind.STAKE_MOVED) == 1
        assert kinds.count(NewsKind.DEACTIVATED) == 1
        assert (told.status, told.reason) == (Status.FALSE, "Alarm")
        assert "out of the active set from round" in told.message
        now += 90_000
        assert (await _told(resource())).status is Status.TRUE
