"""One look at an orchestrator's state on chain, shared by all duties that keep it as declared.

The look is one batch. Duties take a kept one while it is young enough for them, in the same round and since nothing was
sent; so an idle orchestrator with all of them costs one batch in ten minutes, not one a duty.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts import BondingManager
from livefleet.chain.contracts.bonding_manager import (
    GET_DELEGATOR,
    GET_TRANSCODER,
    PENDING_FEES,
    PENDING_STAKE,
    TRANSCODER_TO_REWARD_CALLER,
    Delegator,
    Transcoder,
)
from livefleet.chain.contracts.controller import PAUSED
from livefleet.chain.contracts.service_registry import GET_SERVICE_URI
from livefleet.chain.errors import NodeError, Reverted
from livefleet.chain.models import ChainHead
from livefleet.chain.rpc import Read
from livefleet.kernel import ZERO_ADDRESS, Address, Clock, Round, Wei

__all__ = ["IDLE_S", "OnChainReader", "OnChainState", "Wanted", "has_reward_callers"]

IDLE_S = 600.0
"""Seconds between two looks while everything is as declared."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a look reads beside the orchestrator's entries and the pause switch."""

    fees: bool = False
    reward_caller: bool = False
    service_uri: bool = False
    ai_service_uri: bool = False


@dataclass(frozen=True, slots=True)
class OnChainState:
    """What the decisions rest on. Parts that nobody wanted are empty."""

    head: ChainHead
    orchestrator: Address
    paused: bool
    transcoder: Transcoder
    delegator: Delegator
    stake: int  # LPTU staked from this account up to now, with whomever it is bonded to
    fees: Wei = Wei(0)  # that could be withdrawn now
    reward_caller: Address | None = None  # zero: nobody. None: not wanted, or a contract from before LIP-118
    service_uri: str = ""
    ai_service_uri: str | None = None  # None: not wanted, or there is no such registry

    @property
    def round(self) -> Round:
        """The current round, initialised or not."""
        return self.head.current_round

    @property
    def is_registered(self) -> bool:
        """Whether it is bonded to itself."""
        return self.delegator.delegate_address == self.orchestrator and self.delegator.bonded_amount > 0

    @property
    def is_elsewhere(self) -> bool:
        """Whether its stake is with another orchestrator: bonding to itself would move all of it."""
        return self.delegator.delegate_address not in (ZERO_ADDRESS, self.orchestrator)

    @property
    def is_active(self) -> bool:
        """Whether it works in the current round."""
        return self.transcoder.activation_round <= self.round < self.transcoder.deactivation_round

    @property
    def is_leaving(self) -> bool:
        """Whether it works in this round for the last time: it was evicted from the pool, or resigned."""
        return self.is_active and self.transcoder.deactivation_round == self.round + 1

    @property
    def is_in_pool(self) -> bool:
        """Whether it will work in the next round, as the pool stands."""
        return self.is_registered and self.transcoder.deactivation_round > self.round + 1

    @property
    def has_called_reward(self) -> bool:
        """Whether reward was called in this round."""
        return self.transcoder.last_reward_round >= self.round

    @property
    def never_set_cuts(self) -> bool:
        """Whether both cuts are as a first bond leaves them, and nothing was earned with them."""
        entry = self.transcoder
        return entry.reward_cut == entry.fee_share == entry.last_reward_round == 0


class OnChainReader:
    """Looks, and keeps the last look. One event loop's property."""

    def __init__(
        self,
        client: ChainClient,
        orchestrator: Address,
        wanted: Wanted,
        head: Callable[[], ChainHead],
        *,
        clock: Clock,
    ) -> None:
        self.client = client
        self.orchestrator = orchestrator
        self._wanted = wanted
        self._head = head
        self._clock = clock
        self._looking = asyncio.Lock()
        self._kept: OnChainState | None = None
        self._kept_at = 0.0
        self._knows_reward_callers: bool | None = None

    async def look(self, max_age_s: float = 0.0) -> OnChainState:
        """The state, at most so many seconds old and of the round that the head is in. Raises Transient, NodeError."""
        async with self._looking:
            head, kept = self._head(), self._kept
            if kept is not None and _mark(kept.head) == _mark(head):
                age_s = self._clock.monotonic() - self._kept_at
                if age_s <= max_age_s:
                    return kept
            asked_at = self._clock.monotonic()
            state = await self._read(head)
            self._kept, self._kept_at = state, asked_at
            return state

    def forget(self) -> None:
        """Something was sent: the next look reads."""
        self._kept = None

    async def _read(self, head: ChainHead) -> OnChainState:
        client, own, wanted = self.client, self.orchestrator, self._wanted
        callers = wanted.reward_caller and await self._has_reward_callers()
        reads: dict[str, Read] = {
            "paused": client.controller.read(PAUSED),
            "transcoder": client.bonding.read(GET_TRANSCODER, own),
            "delegator": client.bonding.read(GET_DELEGATOR, own),
            "stake": client.bonding.read(PENDING_STAKE, own, 0),
        }
        if wanted.fees:
            reads["fees"] = client.bonding.read(PENDING_FEES, own, 0)
        if callers:
            reads["reward_caller"] = client.bonding.read(TRANSCODER_TO_REWARD_CALLER, own)
        if wanted.service_uri:
            reads["service_uri"] = client.services.read(GET_SERVICE_URI, own)
        if wanted.ai_service_uri and client.ai_services is not None:
            reads["ai_service_uri"] = client.ai_services.read(GET_SERVICE_URI, own)
        answers = dict(zip(reads, await client.rpc.read_all(list(reads.values())), strict=True))
        return OnChainState(
            head=head,
            orchestrator=own,
            paused=answers["paused"][0],
            transcoder=Transcoder.of(answers["transcoder"]),
            delegator=Delegator.of(answers["delegator"]),
            stake=answers["stake"][0],
            fees=Wei(answers.get("fees", (0,))[0]),
            reward_caller=answers.get("reward_caller", (None,))[0],
            service_uri=answers.get("service_uri", ("",))[0],
            ai_service_uri=answers.get("ai_service_uri", (None,))[0],
        )

    async def _has_reward_callers(self) -> bool:
        """A contract from before LIP-118 may be replaced any day, and is asked again."""
        if not self._knows_reward_callers:
            self._knows_reward_callers = await has_reward_callers(self.client.bonding)
        return self._knows_reward_callers


async def has_reward_callers(bonding: BondingManager) -> bool:
    """Whether the contract is as new as LIP-118. An older one reverts, or answers nothing that could be read."""
    try:
        await bonding.reward_caller(ZERO_ADDRESS)
    except (Reverted, NodeError):
        return False
    return True


def _mark(head: ChainHead) -> tuple[int, int]:
    return head.current_round, head.last_initialized_round
