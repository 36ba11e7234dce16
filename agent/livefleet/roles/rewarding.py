"""The duty reward as a role runs it: declared limits, the shared lease, the resource and what it tells."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from livefleet.chain import HeldLease, RewardDuty, RewardPolicy, SpendLimit
from livefleet.health import Reading
from livefleet.kernel import Address, Wei
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import RewardResource
from livefleet.roles.base import RoleContext
from livefleet.roles.chain_link import ChainLink
from livefleet.roles.own_metrics import own_reward_readings
from livefleet.roles.reference_metrics import reward_readings
from livefleet.roles.stores import NodeStores, holder_name
from livefleet.spec import NodeSpec
from livefleet.spec import RewardDuty as DeclaredReward

__all__ = ["Rewarding", "open_rewarding", "reward_policy"]

_LONGEST_JITTER_S = 30.0  # as the reference node's


@dataclass(frozen=True, slots=True)
class Rewarding:
    """What a role uses of it."""

    resource: RewardResource
    loop: ReconcileLoop[Any]
    duty: RewardDuty

    def go_by(self, spec: NodeSpec) -> None:
        """Take the schedule and the limits of `spec` at once; without the duty in it nothing changes."""
        if (declared := spec.duties.reward) is None:
            return
        self.duty.go_by(reward_policy(spec, declared))
        self.resource.look_every(declared.check_every_s)
        self.loop.nudge()

    def readings(self) -> list[Reading]:
        """For /metrics."""
        return [*reward_readings(self.resource.failures), *own_reward_readings(self.resource)]


def open_rewarding(
    context: RoleContext,
    link: ChainLink,
    orchestrator: Address,
    stores: NodeStores,
    declared: DeclaredReward,
    *,
    hold: Callable[[], str] = lambda: "",
) -> Rewarding:
    """Build the duty of calling `orchestrator`'s reward with the link's key, its own or its reward caller's.

    `hold`: what goes before a reward that would end the orchestrator's activity at once, in words.
    """
    spec, clock = context.spec, context.clock
    duty = RewardDuty(
        link.client,
        link.transactions,
        orchestrator,
        policy=reward_policy(spec, declared),
        head=link.watcher.head,
        lease=HeldLease(
            stores.leases, f"reward {orchestrator}", holder_name(spec), ttl_s=spec.network.lease_s, clock=clock
        ),
        safe_depth=spec.network.safe_depth,
        hold=hold,
        clock=clock,
        rng=random.SystemRandom(),
    )
    resource = RewardResource(duty, every_s=declared.check_every_s)
    return Rewarding(resource, ReconcileLoop(resource, context.board), duty)


def reward_policy(spec: NodeSpec, declared: DeclaredReward) -> RewardPolicy:
    """The schedule that the spec declares. Pure."""
    percent = declared.max_cost_percent
    return RewardPolicy(
        limit=SpendLimit(Wei(declared.max_gas_price), Wei(declared.max_cost)),
        urgent_limit=SpendLimit(Wei(declared.urgent_max_gas_price), Wei(declared.urgent_max_cost)),
        urgent_after=Fraction(declared.urgent_after_percent, 100),
        alarm_after=Fraction(declared.alarm_after_percent, 100),
        max_share=None if percent is None else Fraction(percent, 100),
        lpt_price=Wei(declared.lpt_price) if declared.lpt_price else None,
        l1_block_s=spec.network.l1_block_s,
        check_every_s=declared.check_every_s,
        initialize_rounds=declared.initialize_round,
        initialize_within_s=min(_LONGEST_JITTER_S, 2.5 * spec.network.l1_block_s),
    )
