"""What an orchestrator says of winners that another node redeems from the shared database."""

import pytest

from livefleet.chain import LeaseHolder
from livefleet.kernel import Status
from livefleet.payments import TicketCount, TicketState, Totals
from livefleet.reconcile.resources import SharedWinnersResource
from tests.builders.payments import ORCHESTRATOR

pytestmark = pytest.mark.unit


class Held:
    def __init__(self, holder):
        self.told = holder
        self.asked = []

    async def holder(self, name):
        self.asked.append(name)
        return None if self.told is None else LeaseHolder(self.told, 10.0)


class Kept:
    def __init__(self, count, value):
        self.totals = Totals(by_state={TicketState.PENDING: TicketCount(count, value)})


@pytest.mark.parametrize(
    ("count", "holder", "status", "reason", "said"),
    [
        (
            2,
            "fleet/redeemer",
            Status.TRUE,
            "WithRedeemer",
            "2 winning ticket(s) of 90 wei wait; fleet/redeemer redeems",
        ),
        (0, "fleet/redeemer", Status.TRUE, "NonePending", "fleet/redeemer redeems"),
        (2, None, Status.FALSE, "NobodyRedeems", "start a node with the role redeemer"),
        (0, None, Status.FALSE, "NobodyRedeems", ORCHESTRATOR),
    ],
)
async def test_condition__says_who_redeems_or_that_nobody_does(count, holder, status, reason, said):
    leases = Held(holder)
    resource = SharedWinnersResource(Kept(count, 90 if count else 0), leases, ORCHESTRATOR)
    plan = resource.plan(await resource.observe())
    (condition,) = plan.conditions
    assert (condition.name, condition.status, condition.reason) == ("TicketsRedeemed", status, reason)
    assert said in condition.message
    assert not condition.gates_ready
    assert plan.actions == ()
    assert leases.asked == [f"redeem {ORCHESTRATOR}"]
