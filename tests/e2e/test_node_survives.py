"""What a paid stream notices of an orchestrator that is restarted, killed, or loses a part."""

import pytest
import pytest_asyncio

from tests.builders.paid_nodes import a_paid_node
from tests.fault.faults import hostile_clients
from tests.fault.stock_gateway import DUTIES, SERVICE, playing

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

LONG = (300.0, 300.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survives")
    async with a_paid_node(folder, round_length=2000, duties=DUTIES, service=SERVICE) as node:
        yield node


async def test_restart__no_segment_fails_and_the_session_goes_on(node):
    async with playing(node, streams=1, lives_s=LONG) as play:
        await play.record.more(3)
        await play.faults.restart()
        await play.record.more(3)
    record = play.record
    assert record.verdict(1) == []
    assert record.broken == []
    assert (record.sessions, record.ok) == (1, record.offered)
    assert record.carried >= 3


async def test_kill_9__costs_at_most_what_was_in_flight(node):
    async with playing(node, streams=2, lives_s=LONG) as play:
        await play.record.more(6)
        await play.faults.kill()
        await play.record.more(6)
    record = play.record
    assert record.verdict(2) == []
    assert len(record.broken) <= 2
    assert record.ok == record.offered
    assert record.tickets > 0


async def test_media_worker_killed__no_gateway_hears_of_it(node):
    async with playing(node, streams=1, lives_s=LONG) as play:
        await play.record.more(2)
        await play.faults.kill_worker()
        await play.record.more(4)
    record = play.record
    assert record.verdict(1) == []
    assert (record.broken, record.turned_away, record.sessions) == ([], 0, 1)


async def test_door_killed_among_hostile_clients__opens_again(node):
    async with playing(node, streams=1, lives_s=LONG) as play, hostile_clients(node.agent.service_uri, play.record):
        await play.record.more(2)
        await play.faults.kill_nginx()
        await play.record.more(3)
    record = play.record
    assert record.verdict(1) == []
    assert record.faults["hostile client"] > 0
