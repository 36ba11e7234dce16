"""What the chain says of an orchestrator's reward: whether it is owed, who may call it, which ones were missed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import (
    EARNINGS_POOL,
    GET_TRANSCODER,
    IS_ACTIVE_TRANSCODER,
    IS_REGISTERED_TRANSCODER,
    POOL_MAX_SIZE,
    TOTAL_ACTIVE_STAKE,
    TRANSCODER_TO_REWARD_CALLER,
    TRANSCODER_TOTAL_STAKE,
    TREASURY_REWARD_CUT_RATE,
)
from livefleet.chain.contracts.controller import PAUSED
from livefleet.chain.contracts.minter import CURRENT_MINTABLE_TOKENS
from livefleet.chain.contracts.rounds_manager import (
    BLOCK_HASH_FOR_ROUND,
    BLOCK_NUM,
    CURRENT_ROUND,
    CURRENT_ROUND_START_BLOCK,
    LAST_INITIALIZED_ROUND,
    ROUND_LENGTH,
)
from livefleet.chain.errors import NodeError, Reverted
from livefleet.chain.pool import PoolMember, neighbours, read_pool
from livefleet.kernel import ZERO_ADDRESS, Address, BlockNumber, Round

__all__ = ["RewardHints", "RewardObserved", "RewardReader", "expected_reward", "joins_pool"]

log = logging.getLogger(__name__)

_PERC = 10**9  # the Minter's fractions
_PRECISE = 10**27  # the treasury cut's
_NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class RewardObserved:
    """What the decision rests on: the chain at one block, and what this process knows besides."""

    current_round: Round
    last_initialized_round: Round
    last_reward_round: Round
    active: bool
    paused: bool
    block: int = 0  # the node's own (L2) number
    l1_block: BlockNumber = BlockNumber(0)
    round_start_block: BlockNumber = BlockNumber(0)
    round_length: int = 0  # L1 blocks; 0: not known
    knows_reward_callers: bool = True  # LIP-118
    reward_caller: Address = ZERO_ADDRESS  # who else may call it; the zero address: nobody
    reward_caller_is_busy: bool = False  # it has a transaction in the node's pool; asked only where ours is another
    missed: tuple[Round, ...] | None = None  # of the rounds looked back at; None: not looked back yet
    waited_s: float = 0.0  # since this process first saw what is to be done
    lease_of: str | None = None  # who else holds the duty's lease
    standing_by: str | None = None  # why our key may not send now
    failure: str | None = None  # why the last try of this round failed
    is_leaving: bool = False  # active in this round and not in the next: evicted or resigned
    held_for: str = ""  # what goes before a reward that would end the activity at once; empty: nothing

    @property
    def is_initialized(self) -> bool:
        """Whether the current round is."""
        return self.last_initialized_round == self.current_round

    @property
    def is_owed(self) -> bool:
        """Whether a reward call would succeed and was not made yet this round."""
        return not self.paused and self.active and self.is_initialized and self.last_reward_round < self.current_round

    @property
    def blocks_into_round(self) -> int:
        """L1 blocks since the round's first."""
        return self.l1_block - self.round_start_block


@dataclass(frozen=True, slots=True)
class RewardHints:
    """The neighbours in the pool after the reward, and the reward itself in LPTU."""

    previous: Address
    following: Address
    reward: int
    joins: bool = False  # the reward puts it into the pool, where it is not


def joins_pool(pool: Sequence[PoolMember], address: Address, stake: int, max_size: int) -> bool:
    """Whether `address`, which is outside the pool, is put into it when its stake rises to `stake`. Pure.

    Source: BondingManager: a full pool takes who has strictly more than its last member.
    """
    if any(member.address == address for member in pool):
        return False
    return len(pool) < max_size or pool[-1].stake < stake


def expected_reward(*, mintable: int, stake: int, total_active_stake: int, treasury_cut: int) -> tuple[int, int]:
    """LPTU that a reward call mints for the orchestrator's pool and for the treasury, rounded as on chain. Pure."""
    if total_active_stake == 0:
        return 0, 0
    minted = mintable * (stake * _PERC // total_active_stake) // _PERC
    treasury = minted * treasury_cut // _PRECISE
    return minted - treasury, treasury


@dataclass(slots=True)
class RewardReader:
    """Reads for one orchestrator, with the memory that spares some of them."""

    client: ChainClient
    orchestrator: Address
    _knows_reward_callers: bool | None = None
    _last_order: tuple[Address, ...] = ()  # of the pool; only a guess that saves reads
    _called_in: dict[Round, bool] = field(default_factory=dict)  # of rounds that are over

    async def observe(self) -> RewardObserved:
        """Everything at one block. Raises Transient."""
        client = self.client
        if self._knows_reward_callers is None:
            self._knows_reward_callers = await self._detect_reward_callers()
        block = await client.rpc.block_number()
        reads = [
            client.rounds.read(CURRENT_ROUND),
            client.rounds.read(LAST_INITIALIZED_ROUND),
            client.bonding.read(GET_TRANSCODER, self.orchestrator),
            client.bonding.read(IS_ACTIVE_TRANSCODER, self.orchestrator),
            client.controller.read(PAUSED),
            client.rounds.read(BLOCK_NUM),
            client.rounds.read(CURRENT_ROUND_START_BLOCK),
            client.rounds.read(ROUND_LENGTH),
        ]
        if self._knows_reward_callers:
            reads.append(client.bonding.read(TRANSCODER_TO_REWARD_CALLER, self.orchestrator))
        answers = await client.rpc.read_all(reads, block=block)
        (current,), (initialized,), transcoder, (active,), (paused,), (l1_block,), (start,), (length,), *rest = answers
        return RewardObserved(
            current_round=Round(current),
            last_initialized_round=Round(initialized),
            last_reward_round=Round(transcoder[0]),
            active=active,
            paused=paused,
            block=block,
            l1_block=BlockNumber(l1_block),
            round_start_block=BlockNumber(start),
            round_length=length,
            knows_reward_callers=self._knows_reward_callers,
            reward_caller=rest[0][0] if rest else ZERO_ADDRESS,
            is_leaving=active and transcoder[5] == current + 1,
        )

    async def missed(self, observed: RewardObserved, look_back: int) -> tuple[Round, ...]:
        """Rounds before the current one in which the orchestrator was active and nobody called its reward.

        Told by the round's own earnings pool, whose reward factor nothing but a reward call sets. A round that nobody
        initialised has no reward to miss, and none is told of a round whose stored hash is zero. Raises Transient.
        """
        first = max(observed.current_round - look_back, 0)
        wanted = [Round(r) for r in range(first, observed.current_round) if Round(r) not in self._called_in]
        if wanted:
            await self._look_back(wanted)
        for known in [known for known in self._called_in if known < first]:
            del self._called_in[known]
        return tuple(sorted(r for r, called in self._called_in.items() if not called and r < observed.current_round))

    async def is_busy(self, address: Address) -> bool:
        """Whether the node's pool holds a transaction of an address. Raises Transient."""
        mined, pending = await self.client.rpc.batch(
            [("eth_getTransactionCount", (address, state)) for state in ("latest", "pending")]
        )
        return int(pending, 16) > int(mined, 16)

    async def hints(self, round_: Round) -> RewardHints:
        """Where the reward will put the orchestrator in the pool, from one block. Raises Transient."""
        client, block = self.client, await self.client.rpc.block_number()
        bonding, own = client.bonding, self.orchestrator
        (stake,), earnings, (total,), (cut,), (mintable,), (max_size,), (registered,) = await client.rpc.read_all(
            [
                bonding.read(TRANSCODER_TOTAL_STAKE, own),
                bonding.read(EARNINGS_POOL, own, round_),
                bonding.read(TOTAL_ACTIVE_STAKE),
                bonding.read(TREASURY_REWARD_CUT_RATE),
                client.minter.read(CURRENT_MINTABLE_TOKENS),
                bonding.read(POOL_MAX_SIZE),
                bonding.read(IS_REGISTERED_TRANSCODER, own),
            ],
            block=block,
        )
        pool = await read_pool(bonding, block, self._last_order)
        self._last_order = tuple(member.address for member in pool)
        reward, _ = expected_reward(
            mintable=mintable, stake=earnings[0] or stake, total_active_stake=total, treasury_cut=cut
        )
        previous, following = neighbours(pool, own, stake + reward, max_size)
        joins = registered and joins_pool(pool, own, stake + reward, max_size)
        return RewardHints(previous, following, reward, joins)

    async def _detect_reward_callers(self) -> bool:
        """Whether the BondingManager knows LIP-118: an older one reverts or answers nothing."""
        try:
            await self.client.bonding.reward_caller(self.orchestrator)
        except Reverted:
            return False
        except NodeError as error:
            if "0 bytes" in str(error):
                return False
            raise
        return True

    async def _look_back(self, rounds: Sequence[Round]) -> None:
        bonding = self.client.bonding
        transcoder, *answers = await self.client.rpc.read_all(
            [
                bonding.read(GET_TRANSCODER, self.orchestrator),
                *(bonding.read(EARNINGS_POOL, self.orchestrator, r) for r in rounds),
                *(self.client.rounds.read(BLOCK_HASH_FOR_ROUND, r) for r in rounds),
            ]
        )
        _, _, _, _, activation, deactivation, *_ = transcoder
        pools, hashes = answers[: len(rounds)], answers[len(rounds) :]
        for round_, pool, (block_hash,) in zip(rounds, pools, hashes, strict=True):
            reward_factor = pool[3]
            expected = activation <= round_ < deactivation and bytes(block_hash) != _NO_HASH
            self._called_in[round_] = not expected or reward_factor > 0
            if not self._called_in[round_]:
                log.error("reward.missed", extra={"round": round_, "orchestrator": self.orchestrator})
