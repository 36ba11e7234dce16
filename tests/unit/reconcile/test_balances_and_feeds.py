"""What is only looked at: keys' ETH and a price feed."""

from dataclasses import replace

import pytest

from livefleet.chain import FeedAnswer, GasBalance, NodeError, Reverted
from livefleet.kernel import Status, Wei
from livefleet.reconcile.resources import GasBalanceResource, PriceFeedResource
from livefleet.spec import GasSettings
from tests.builders.on_chain import ORCHESTRATOR

pytestmark = pytest.mark.unit

DAY_S = 86_400.0
PLENTY = GasBalance("hot", ORCHESTRATOR, Wei(10**18), Wei(10**15), 30 * DAY_S)


class Balances:
    def __init__(self, *found):
        self.found = found

    async def look(self):
        return self.found


@pytest.mark.parametrize(
    ("changes", "status", "reason", "words"),
    [
        ({}, Status.TRUE, "Enough", "hot (0x7099"),
        ({"runway_s": None}, Status.TRUE, "Enough", "holds 1 ETH"),
        ({"balance": Wei(10**16 - 1)}, Status.FALSE, "Low", "below 0.01 ETH"),
        ({"balance": Wei(10**16)}, Status.TRUE, "Enough", "0.01 ETH"),
        ({"runway_s": 7 * DAY_S - 1}, Status.FALSE, "ShortRunway", "lasts 7.0 days at the last week's spending"),
        ({"balance": Wei(0), "runway_s": 0.0}, Status.FALSE, "Low", "send it ETH"),
    ],
)
async def test_gas_runway__each_key__is_said_by_its_name(changes, status, reason, words):
    resource = GasBalanceResource(Balances(replace(PLENTY, **changes)), GasSettings())

    (condition,) = resource.plan(await resource.observe()).conditions

    assert (condition.name, condition.subject) == ("GasRunway", "hot")
    assert (condition.status, condition.reason) == (status, reason)
    assert words in condition.message


async def test_gas_runway__two_keys__have_a_condition_each():
    resource = GasBalanceResource(Balances(PLENTY, replace(PLENTY, name="gas", balance=Wei(1))), GasSettings())

    found = {c.subject: c.status for c in resource.plan(await resource.observe()).conditions}

    assert found == {"hot": Status.TRUE, "gas": Status.FALSE}
    assert [gas.name for gas in resource.last] == ["hot", "gas"]


class Feed:
    address = ORCHESTRATOR

    def __init__(self, answer):
        self.answer = answer

    async def latest(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


ANSWER = FeedAnswer("ETH / USD", 8, 3_000 * 10**8, 1_000_000)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (ANSWER, Status.TRUE, "Sound"),
        (replace(ANSWER, answer=0), Status.FALSE, "NotPositive"),
        (replace(ANSWER, answer=-1), Status.FALSE, "NotPositive"),
        (replace(ANSWER, updated_at=0), Status.FALSE, "NoAnswer"),
        (replace(ANSWER, description="LPT / ETH"), Status.FALSE, "OtherPair"),
        (replace(ANSWER, decimals=200), Status.FALSE, "Decimals"),
        (replace(ANSWER, updated_at=1_000_000 - 3_601), Status.FALSE, "Stale"),
        (replace(ANSWER, updated_at=1_000_000 - 3_600), Status.TRUE, "Sound"),
        (Reverted("no data"), Status.FALSE, "NoFeed"),
        (NodeError("an answer of 0 bytes"), Status.FALSE, "NoFeed"),
    ],
)
async def test_price_feed__what_it_answers__is_judged(answer, status, reason):
    resource = PriceFeedResource(Feed(answer), max_age_s=3_600.0, now=lambda: 1_000_000.0)

    plan = resource.plan(await resource.observe())

    (condition,) = plan.conditions
    assert (condition.name, condition.status, condition.reason, condition.gates_ready) == (
        "PriceFeedSound",
        status,
        reason,
        False,
    )
    assert plan.actions == ()
