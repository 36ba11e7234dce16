"""Six rounds with a fault or two in each. `python -m tests.fault.rounds` plays ninety."""

import shutil
import tempfile
from pathlib import Path

import pytest

from livefleet.payments import TicketState
from tests.fault.rounds import play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="lf-"))  # short: unix sockets below it have a limit of 107 bytes
    yield made
    shutil.rmtree(made)


async def test_rounds__two_agents_and_a_fault_in_each__one_reward_a_round_and_every_winner_redeemed(folder):
    outcome = await play(folder, rounds=6, round_length=100, block_s=0.15, seed=2)

    assert outcome.verdict() == [], outcome.table()
    assert len(outcome.scene.faults) >= 8
    assert sum(node.by_state[TicketState.REDEEMED] for node in outcome.tickets) > 50
    assert not any(node.lost for node in outcome.tickets), outcome.table()
