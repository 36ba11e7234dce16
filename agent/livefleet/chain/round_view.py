"""A round as the protocol sees it: its time, its inflation, what was minted of it, and one orchestrator's part.

A round that is over is told from its logs, which every node keeps; what only its state says (stake, supply) is read
where the endpoints still know that block, and left out where they do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain.abi import Event
from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import (
    EARNINGS_POOL,
    IS_ACTIVE_TRANSCODER,
    POOL_MAX_SIZE,
    POOL_SIZE,
    REWARD,
    TOTAL_ACTIVE_STAKE,
    TRANSCODER_TOTAL_STAKE,
    TREASURY_REWARD_CUT_RATE,
)
from livefleet.chain.contracts.minter import (
    GLOBAL_TOTAL_SUPPLY,
    INFLATION_CHANGE,
    SET_CURRENT_REWARD_TOKENS,
    TARGET_BONDING_RATE,
)
from livefleet.chain.contracts.rounds_manager import (
    BLOCK_NUM,
    CURRENT_ROUND,
    CURRENT_ROUND_START_BLOCK,
    LAST_INITIALIZED_ROUND,
    NEW_ROUND,
    ROUND_LENGTH,
    ROUND_LOCK_AMOUNT,
)
from livefleet.chain.logs import Log, LogReader
from livefleet.chain.rpc import Read
from livefleet.kernel import Address, BadInput, Round, Transient

__all__ = ["RoundState", "RoundTime", "RoundView", "read_round"]

TREASURY_REWARD = Event.parse("TreasuryReward(address indexed transcoder, address treasury, uint256 amount)")

PERC = 10**6
RATE = 10**9  # inflation and bonding rates
PRECISE = 10**27


@dataclass(frozen=True, slots=True)
class RoundTime:
    """When the current round began and ends, in L1 blocks and, as far as blocks come evenly, in unix seconds."""

    start_block: int
    lock_block: int  # from here on cuts cannot be set
    end_block: int  # the next round's first
    now_block: int
    started_at: float
    locked_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class RoundState:
    """What only the chain's state says. LPTU; rates in parts of 10**9, the treasury's cut of 10**27."""

    supply: int
    active_stake: int
    inflation_change: int
    target_bonding_rate: int
    treasury_cut: int
    pool_size: int
    pool_max_size: int
    own_stake: int | None  # in this round, own and delegated; None without an address
    own_active: bool | None

    @property
    def participation(self) -> int:
        """Active stake in parts of 10**9 of the supply."""
        return self.active_stake * RATE // self.supply if self.supply else 0


@dataclass(frozen=True, slots=True)
class RoundView:
    """One round. LPTU."""

    round: Round
    initialized: bool
    is_current: bool
    address: Address | None
    inflation: int  # parts of 10**9 of the supply
    mintable: int
    minted: int  # by all, the treasury's part included
    treasury: int | None  # of that; None where the round's logs were not found
    own_reward: int | None  # net of the treasury's part; None without an address, 0 while not called
    own_treasury: int | None
    expected: int | None  # net reward that a call now would bring; None where there is none to bring
    time: RoundTime | None  # of the current round
    state: RoundState | None  # None: no endpoint knows it any more


async def read_round(
    client: ChainClient, address: Address | None, *, round_: int | None = None, l1_block_s: float = 12.0
) -> RoundView:
    """The current round, or an earlier one. Raises BadInput for a round to come or never initialised, Transient."""
    block = await client.rpc.block_number()
    current, initialized, start, length, lock, now = (
        int(value)
        for (value,) in await client.rpc.read_all(
            [
                client.rounds.read(function)
                for function in (
                    CURRENT_ROUND, LAST_INITIALIZED_ROUND, CURRENT_ROUND_START_BLOCK, ROUND_LENGTH,
                    ROUND_LOCK_AMOUNT, BLOCK_NUM,
                )
            ],
            block=block,
        )
    )  # fmt: skip
    wanted = current if round_ is None else round_
    if wanted > current:
        raise BadInput(f"round {wanted} is to come; the current one is {current}")
    at = await _time_of(client, block)
    time = None
    if wanted == current:
        lock_block = start + length - length * lock // PERC
        began = at - (now - start) * l1_block_s
        time = RoundTime(
            start_block=start,
            lock_block=lock_block,
            end_block=start + length,
            now_block=now,
            started_at=began,
            locked_at=began + (lock_block - start) * l1_block_s,
            ends_at=began + length * l1_block_s,
        )
    if wanted > initialized:
        state = await _state(client, address, wanted, block)
        none_yet = None if address is None else 0
        return RoundView(
            round=Round(wanted),
            initialized=False,
            is_current=True,
            address=address,
            inflation=0,
            mintable=0,
            minted=0,
            treasury=None,
            own_reward=none_yet,
            own_treasury=none_yet,
            expected=None,
            time=time,
            state=state,
        )
    first, last = await _blocks_of(client, wanted, current, block, length * l1_block_s, at)
    if first is None:
        raise BadInput(f"round {wanted} was never initialised, or the endpoints keep no logs that old")
    return await _view(client, address, wanted, first, last, time if wanted == current else None)


async def _view(
    client: ChainClient, address: Address | None, wanted: int, first: int, last: int, time: RoundTime | None
) -> RoundView:
    logs = await _logs(
        client,
        (client.bonding.address, client.minter.address),
        [[REWARD.topic, TREASURY_REWARD.topic, SET_CURRENT_REWARD_TOKENS.topic]],
        first,
        last,
    )
    mintable, inflation = next(
        (SET_CURRENT_REWARD_TOKENS.decode(log.topics, log.data) for log in logs if _is(log, SET_CURRENT_REWARD_TOKENS)),
        (0, 0),
    )
    rewards = [REWARD.decode(log.topics, log.data) for log in logs if _is(log, REWARD)]
    shares = [TREASURY_REWARD.decode(log.topics, log.data) for log in logs if _is(log, TREASURY_REWARD)]
    treasury = sum(int(amount) for _, _, amount in shares)
    state = await _state(client, address, wanted, last)
    own = None if address is None else sum(int(amount) for who, amount in rewards if who == address)
    own_treasury = None if address is None else sum(int(amount) for who, _, amount in shares if who == address)
    expected = None
    if time is not None and state is not None and state.own_active and not own:
        expected = _expected(mintable, state)
    return RoundView(
        round=Round(wanted),
        initialized=True,
        is_current=time is not None,
        address=address,
        inflation=int(inflation),
        mintable=int(mintable),
        minted=sum(int(amount) for _, amount in rewards) + treasury,
        treasury=treasury,
        own_reward=own,
        own_treasury=own_treasury,
        expected=expected,
        time=time,
        state=state,
    )


def _expected(mintable: int, state: RoundState) -> int:
    """Source: Minter.createReward and BondingManager.reward."""
    if not state.active_stake or state.own_stake is None:
        return 0
    minted = mintable * (state.own_stake * RATE // state.active_stake) // RATE
    return minted - minted * state.treasury_cut // PRECISE


async def _state(client: ChainClient, address: Address | None, round_: int, block: int) -> RoundState | None:
    bonding, minter = client.bonding, client.minter
    reads = [
        minter.read(GLOBAL_TOTAL_SUPPLY),
        bonding.read(TOTAL_ACTIVE_STAKE),
        minter.read(INFLATION_CHANGE),
        minter.read(TARGET_BONDING_RATE),
        bonding.read(TREASURY_REWARD_CUT_RATE),
        bonding.read(POOL_SIZE),
        bonding.read(POOL_MAX_SIZE),
    ]
    own: list[Read] = []
    if address is not None:
        own = [
            bonding.read(EARNINGS_POOL, address, round_),
            bonding.read(TRANSCODER_TOTAL_STAKE, address),
            bonding.read(IS_ACTIVE_TRANSCODER, address),
        ]
    try:
        answers = await client.rpc.read_all([*reads, *own], block=block)
    except Transient:
        return None
    values: list[Any] = [answer[0] for answer in answers]
    stake, active = None, None
    if address is not None:
        in_pool, total, active = values[7:]
        stake = int(in_pool) or int(total)
    supply, active_stake, change, target, cut, size, max_size = (int(value) for value in values[:7])
    return RoundState(
        supply=supply,
        active_stake=active_stake,
        inflation_change=change,
        target_bonding_rate=target,
        treasury_cut=cut,
        pool_size=size,
        pool_max_size=max_size,
        own_stake=stake,
        own_active=active,
    )


async def _blocks_of(
    client: ChainClient, wanted: int, current: int, head: int, round_s: float, now: int
) -> tuple[int | None, int]:
    """First and last L2 block of a round: from its NewRound to the one of the next round that was initialised."""
    back = await _blocks_back(client, head, (current - wanted + 2) * round_s, now)
    first, last = None, head
    logs = await _logs(client, (client.rounds.address,), [[NEW_ROUND.topic]], max(0, head - back), head)
    for log in logs:
        number = int(NEW_ROUND.decode(log.topics, log.data)[0])
        if number == wanted:
            first = log.block_number
        elif number > wanted:
            last = log.block_number - 1
            break
    return first, last


async def _blocks_back(client: ChainClient, head: int, seconds: float, now: int) -> int:
    """L2 blocks that surely reach that far back, by the pace of the last ones and no slower than one a second."""
    sample = min(head, 10_000)
    if sample == 0:
        return 0
    pace = max((now - await _time_of(client, head - sample)) / sample, 0.05)
    return int(seconds / min(pace, 1.0)) + 100


async def _time_of(client: ChainClient, block: int) -> int:
    (raw,) = await client.rpc.batch([("eth_getBlockByNumber", (hex(block), False))])
    return int(raw["timestamp"], 16)


async def _logs(
    client: ChainClient, addresses: Sequence[Address], topics: Sequence[Sequence[bytes]], first: int, last: int
) -> list[Log]:
    reader = LogReader(client.rpc)
    return [
        log
        async for _, piece in reader.read(addresses=addresses, topics=topics, first=first, last=last)
        for log in piece
    ]


def _is(log: Log, event: Event) -> bool:
    return event.matches(log.topics)
