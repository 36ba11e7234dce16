"""An orchestrator that is evicted redeems all that it has won before its last round ends, on a local chain."""

import pytest

from livefleet.kernel import Status
from livefleet.payments import BadPayment, LeavingActiveSet, PoolPlaceReader, TicketState, read_tickets
from livefleet.payments.departure import margin_blocks
from livefleet.payments.recipient import PARAMS_VALID_BLOCKS
from livefleet.reconcile.resources import DepartureResource
from tests.builders.leaving import (
    FACE,
    GATEWAY,
    KEY,
    LENGTH,
    ORCHESTRATOR,
    RICHER,
    SESSION,
    LeavingNode,
    a_full_pool,
    a_leaving_node,
)
from tests.builders.payments import pay
from tests.builders.redeeming import evict

pytestmark = pytest.mark.component


class Node(LeavingNode):
    """Payments, redeemer and the watch over the active set, as the role composes them."""

    def __init__(self, local, payments):
        super().__init__(local, payments)
        self.leaving = DepartureResource(
            local.watcher.head,
            PoolPlaceReader(local.client, ORCHESTRATOR.address),
            payments,
            in_use=lambda: True,
        )

    async def turn(self):
        """One turn of both loops; the conditions of the first."""
        await self.local.watcher.look()
        plan = self.leaving.plan(await self.leaving.observe())
        for action in plan.actions:
            await self.leaving.apply(action)
        report = await self.local.run_once()
        return plan.conditions, report


async def test_evicted__long_before_the_end__parameters_end_in_time_and_all_is_redeemed(tmp_path):
    async with a_full_pool(tmp_path / "chain") as devchain, a_leaving_node(devchain, tmp_path, Node) as node:
        round_ = node.head.current_round
        await evict(devchain, ORCHESTRATOR, RICHER)
        end = node.head.round_end_block
        await node.mine_to(end - 50)
        (condition,), _ = await node.turn()
        assert (condition.name, condition.status, condition.reason) == ("ActiveNextRound", Status.FALSE, "Leaving")

        quote = await node.win()
        assert quote.ticket_params.expiration_block == end - margin_blocks(LENGTH)
        _, report = await node.turn()
        assert report.waiting == {"parameters have not expired": 1}

        await node.mine_to(end - margin_blocks(LENGTH))
        (condition,), report = await node.turn()
        assert "no more are taken" in condition.message
        assert (report.redeemed, report.paid) == (1, FACE)
        assert await devchain.client.rounds.current_round() == round_
        with pytest.raises(LeavingActiveSet):
            await node.payments.quote(GATEWAY.address)


async def test_evicted__in_the_last_minutes__open_parameters_are_closed_for_good_and_all_is_redeemed(tmp_path):
    async with a_full_pool(tmp_path / "chain") as devchain:
        async with a_leaving_node(devchain, tmp_path, Node) as node:
            end = node.head.round_end_block
            await node.mine_to(end - 25)
            quote = await node.win()
            assert quote.ticket_params.expiration_block > end  # it would outlive the orchestrator
            (condition,), report = await node.turn()
            assert condition.reason == "LastInPool"
            assert report.waiting == {"parameters have not expired": 1}

            await evict(devchain, ORCHESTRATOR, RICHER)
            assert await devchain.client.rounds.current_round() == node.head.current_round
            await node.turn()
            await node.mine_to(end - margin_blocks(LENGTH))
            _, report = await node.turn()

            assert (report.redeemed, report.paid) == (1, FACE)
            assert await devchain.client.rounds.block_num() < end
            late = pay(quote, [999], sender=GATEWAY.address, key=KEY)
            with pytest.raises(BadPayment, match="TicketParams expired"):
                await node.payments.receive(late, SESSION)
            closed = node.payments.closed_before
            await node.turn()
            assert node.payments.closed_before == closed

        async with a_leaving_node(devchain, tmp_path, Node) as node:
            with pytest.raises(BadPayment, match="TicketParams expired"):
                await node.payments.receive(pay(quote, [998], sender=GATEWAY.address, key=KEY), SESSION)
            assert node.payments.closed_before == closed > quote.ticket_params.expiration_block
    assert {t.state for t in read_tickets(tmp_path / "store") if t.winner.ticket.sender_nonce < 900} == {
        TicketState.REDEEMED
    }


async def test_not_evicted__last_in_the_pool__goes_on_quoting_as_ever(tmp_path):
    async with a_full_pool(tmp_path / "chain") as devchain, a_leaving_node(devchain, tmp_path, Node) as node:
        await node.mine_to(node.head.round_end_block - 3)
        (condition,), _ = await node.turn()
        assert (condition.reason, condition.status) == ("LastInPool", Status.UNKNOWN)
        quote = await node.payments.quote(GATEWAY.address)
        assert quote.ticket_params.expiration_block == node.head.l1_block + PARAMS_VALID_BLOCKS


async def test_idle__nothing_in_use__the_pool_is_not_asked_about(tmp_path):
    async with a_full_pool(tmp_path / "chain") as devchain, a_leaving_node(devchain, tmp_path, Node) as node:
        node.leaving = DepartureResource(
            node.local.watcher.head,
            PoolPlaceReader(node.local.client, ORCHESTRATOR.address),
            node.payments,
            in_use=lambda: node.payments.in_use,
        )
        before = [endpoint.requests for endpoint in devchain.client.rpc.endpoints]
        plan = node.leaving.plan(await node.leaving.observe())
        report = await node.local.redeemer.look()
        assert (plan.conditions, plan.actions, report.looked_at) == ((), (), 0)
        assert [endpoint.requests for endpoint in devchain.client.rpc.endpoints] == before
