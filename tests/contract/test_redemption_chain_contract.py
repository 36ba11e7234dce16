"""What a redeemer may expect of the chain: the local one, and what other tests put in its place."""

from contextlib import asynccontextmanager

import pytest

from livefleet.chain import SpendLimit
from livefleet.kernel import Round, Wei
from livefleet.payments import SenderFunds
from tests.builders.chain import a_devchain
from tests.builders.payments import ETH, a_winner
from tests.builders.redeeming import LocalRedeeming, ToldBroker, a_local_winner
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.contract

GATEWAY, ORCHESTRATOR = (dev_signer(index) for index in (4, 1))
FACE = Wei(10**16)
NO_LIMIT = SpendLimit()


class Local:
    """The TicketBroker of a local chain."""

    def __init__(self, local):
        self.broker = local.broker
        self._client = local.client

    async def winner(self, nonce, face_value=FACE):
        return await a_local_winner(self._client, GATEWAY, ORCHESTRATOR.address, nonce=nonce, face_value=face_value)

    async def round(self):
        return await self._client.rounds.current_round()


class Told:
    """The stand-in."""

    def __init__(self):
        self.broker = ToldBroker()

    async def winner(self, nonce, face_value=FACE):
        return a_winner(sender_nonce=nonce, face_value=face_value)

    async def round(self):
        return Round(3500)


@asynccontextmanager
async def a_side(kind, folder):
    if kind == "told":
        yield Told()
        return
    async with a_devchain(folder / "chain") as devchain:
        await devchain.activate_orchestrator(ORCHESTRATOR)
        await devchain.fund_gateway(GATEWAY.address, deposit=Wei(ETH), reserve=Wei(ETH))
        async with LocalRedeeming(devchain, folder, ORCHESTRATOR.address) as local:
            yield Local(local)


@pytest.fixture(params=["told", "local"])
async def side(request, tmp_path):
    async with a_side(request.param, tmp_path) as found:
        yield found


async def test_times__this_round__has_a_length_and_two_rounds_of_validity(side):
    round_ = await side.round()
    times = await side.broker.times(round_)
    assert (times.round, times.validity) == (round_, 2)
    assert times.length > 0
    assert times.ends(round_) == times.begins(round_ + 2)


async def test_survey__a_good_ticket__would_be_taken_and_funds_are_told(side):
    winner = await side.winner(1)
    survey = await side.broker.survey([winner])
    trial = survey.trials[winner.ticket.hash]
    assert trial.refusal is None
    assert trial.gas > 100_000
    assert survey.active == {winner.ticket.recipient: True}
    funds = survey.funds[winner.ticket.sender, winner.ticket.recipient]
    assert funds == SenderFunds(Wei(ETH), Wei(ETH))


async def test_redeem__one__is_paid_used_and_found_later(side):
    winner = await side.winner(1)
    assert not await side.broker.is_used(winner.ticket.hash)
    assert await side.broker.earlier(winner) is None
    assert await side.broker.by_anyone(winner, since=0.0) is None

    mined = await side.broker.redeem([winner], gas=1_000_000, limit=NO_LIMIT)

    assert mined.paid == {winner.ticket.hash: FACE}
    assert mined.gas_used > 0
    assert await side.broker.is_used(winner.ticket.hash)
    assert await side.broker.live() == ()
    found = await side.broker.earlier(winner)
    assert (found.tx_hash, found.paid) == (mined.tx_hash, FACE)
    assert await side.broker.by_anyone(winner, since=0.0) == found
    assert (await side.broker.survey([winner])).trials[winner.ticket.hash].refusal == "ticket is used"


async def test_redeem__several__each_is_paid_its_own(side):
    winners = [await side.winner(nonce, Wei(nonce * FACE)) for nonce in (1, 2, 3)]

    mined = await side.broker.redeem(winners, gas=3_000_000, limit=NO_LIMIT)

    assert mined.paid == {winner.ticket.hash: winner.ticket.face_value for winner in winners}
    for winner in winners:
        assert (await side.broker.earlier(winner)).paid == winner.ticket.face_value


async def test_allow__nothing_is_live__does_nothing(side):
    winner = await side.winner(1)
    await side.broker.allow(frozenset({winner.ticket.hash}), NO_LIMIT)
    assert await side.broker.live() == ()
