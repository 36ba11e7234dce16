"""An orchestrator that is evicted before its reward is called redeems first, and calls reward in the same round."""

import random

import pytest

from livefleet.chain import RewardDuty, RewardPolicy
from livefleet.kernel import Status
from livefleet.payments import PoolPlaceReader, TicketState, read_tickets, redeemed_first
from livefleet.reconcile.resources import DepartureResource, RewardResource
from tests.builders.leaving import (
    FACE,
    GATEWAY,
    ORCHESTRATOR,
    RICHER,
    LeavingNode,
    a_full_pool,
    a_leaving_node,
)
from tests.builders.redeeming import evict_barely

pytestmark = pytest.mark.component

MOST_TURNS = 10


class Node(LeavingNode):
    """Payments, redeemer, reward and the watch over the active set, as the role composes them."""

    def __init__(self, local, payments):
        super().__init__(local, payments)
        duty = RewardDuty(
            local.client,
            local.transactions,
            ORCHESTRATOR.address,
            policy=RewardPolicy(l1_block_s=1.0),
            head=local.watcher.head,
            hold=lambda: redeemed_first(local.store.totals.of(TicketState.PENDING).count, local.redeemer.last),
            rng=random.Random(1),
        )
        self.reward = RewardResource(duty, every_s=1.0)
        self.leaving = DepartureResource(
            local.watcher.head,
            PoolPlaceReader(local.client, ORCHESTRATOR.address),
            payments,
            in_use=lambda: payments.in_use,
            hurry=lambda: self.reward.tickets_first,
        )

    async def turn(self):
        """One turn of the three loops, the reward's first; what it and the departure say."""
        await self.local.watcher.look()
        said = {}
        for resource in (self.reward, self.leaving):
            plan = resource.plan(await resource.observe())
            said |= {condition.name: condition for condition in plan.conditions}
            for action in plan.actions:
                await resource.apply(action)
        await self.local.run_once()
        return said


async def test_evicted__reward_owed_and_winners_of_the_round_before_wait__both_are_had(tmp_path):
    async with (
        a_full_pool(tmp_path / "chain") as devchain,
        a_leaving_node(devchain, tmp_path, Node, signer=ORCHESTRATOR) as node,
    ):
        bonding, address = devchain.client.bonding, ORCHESTRATOR.address
        await node.turn()  # this round's reward
        end = node.head.round_end_block
        await node.mine_to(end - 5)
        quote = await node.win()
        await node.mine_to(end)
        await devchain.initialize_round()
        await node.local.watcher.look()
        round_ = node.head.current_round
        assert quote.ticket_params.expiration.creation_round == round_ - 1
        assert quote.ticket_params.expiration_block > node.head.l1_block  # senders may still use them
        await evict_barely(devchain, ORCHESTRATOR, RICHER)

        said = await node.turn()
        assert (said["RewardCalled"].reason, said["RewardCalled"].status) == ("RedeemingFirst", Status.UNKNOWN)
        assert "1 winning ticket(s) are being redeemed" in said["RewardCalled"].message
        assert "until reward was called" in said["ActiveNextRound"].message
        for _ in range(MOST_TURNS):
            if (await bonding.transcoder(address)).last_reward_round == round_:
                break
            await node.turn()

        assert (await bonding.transcoder(address)).last_reward_round == round_
        assert not await bonding.is_active(address)  # it is back, from the next round on: so nothing is paid any more
        assert node.head.current_round == round_
        (ticket,) = read_tickets(tmp_path / "store")
        assert (ticket.state, ticket.paid) == (TicketState.REDEEMED, FACE)

        await node.turn()
        quote = await node.payments.quote(GATEWAY.address)  # for tickets that the next round can pay
        assert quote.ticket_params.expiration_block > node.head.l1_block
