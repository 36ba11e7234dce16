"""An orchestrator's state on chain for tests: made up for plans, read for a local chain."""

from dataclasses import replace
from typing import Any

from livefleet.chain import ChainClient, ChainHead, OnChainReader, OnChainState, Rpc, Wanted
from livefleet.chain.contracts import Controller, Delegator, Transcoder
from livefleet.chain.self_stake import StakeFacts
from livefleet.kernel import ZERO_ADDRESS, Address, BlockNumber, Round, Wei
from tests.builders.clock import HandClock

__all__ = [
    "LPT",
    "ORCHESTRATOR",
    "OTHER",
    "a_client",
    "a_head",
    "a_reader",
    "a_state",
    "nobody",
    "some_facts",
    "the_head",
]

LPT = 10**18
ORCHESTRATOR = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OTHER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")

_NAMES = ("LivepeerToken", "BondingManager", "TicketBroker", "RoundsManager", "ServiceRegistry", "Minter")


def a_client() -> ChainClient:
    """Contracts at made-up addresses and no endpoint: calls can be encoded, nothing can be read."""
    rpc = Rpc([])
    addresses = {name: Address("0x" + f"{number:040d}") for number, name in enumerate(_NAMES, 1)}
    return ChainClient(rpc, 1337, Controller(rpc, Address("0x" + "9" * 40)), addresses, Address("0x" + "8" * 40))


def a_head(**changes: Any) -> ChainHead:
    """Round 100, initialised, its first block 5000 and 50 blocks long, the last 5 locked; now at block 5020."""
    head = ChainHead(
        l1_block=BlockNumber(5020),
        current_round=Round(100),
        last_initialized_round=Round(100),
        round_block_hash=bytes(32),
        previous_round_block_hash=bytes(32),
        pool_size=1,
        gas_price=Wei(10**9),
        seen_at=0.0,
        round_start_block=BlockNumber(5000),
        round_length=50,
        round_lock_blocks=5,
    )
    return replace(head, **changes)


def a_state(**changes: Any) -> OnChainState:
    """An active orchestrator with 1000 LPT of its own and 500 of others, that has called reward.

    Fields of its parts may be given by their names: `reward_cut`, `delegate_address`, `l1_block`.
    """
    parts: dict[str, Any] = {
        "head": a_head(),
        "transcoder": Transcoder(
            last_reward_round=Round(100),
            reward_cut=100_000,
            fee_share=500_000,
            last_active_stake_update_round=Round(100),
            activation_round=Round(10),
            deactivation_round=2**256 - 1,
        ),
        "delegator": Delegator(
            bonded_amount=900 * LPT,
            fees=Wei(0),
            delegate_address=ORCHESTRATOR,
            delegated_amount=1500 * LPT,
            start_round=Round(10),
            last_claim_round=Round(90),
        ),
    }
    for part, value in parts.items():
        own = {name: changes.pop(name) for name in list(changes) if hasattr(value, name) and name != "fees"}
        parts[part] = replace(value, **own)
    state = OnChainState(orchestrator=ORCHESTRATOR, paused=False, stake=1000 * LPT, **parts)
    return replace(state, **changes)


def nobody(**changes: Any) -> OnChainState:
    """An address that never was an orchestrator."""
    zeroes = dict.fromkeys(
        ("last_reward_round", "reward_cut", "fee_share", "activation_round", "deactivation_round"), 0
    )
    unbonded = {"bonded_amount": 0, "delegate_address": ZERO_ADDRESS, "delegated_amount": 0, "last_claim_round": 0}
    return a_state(**(zeroes | unbonded | {"stake": 0} | changes))


def some_facts(**changes: Any) -> StakeFacts:
    """Plenty of LPT and ETH, nothing approved, room in the pool."""
    return replace(StakeFacts(10**6 * LPT, 0, Wei(10**18), (), 100), **changes)


def a_reader(client: ChainClient | None = None) -> OnChainReader:
    """A reader for plans only."""
    return OnChainReader(client or a_client(), ORCHESTRATOR, Wanted(), a_head, clock=HandClock())


async def the_head(client: ChainClient) -> ChainHead:
    """A local chain's head as it is now."""
    rounds = client.rounds
    length = await rounds.round_length()
    return a_head(
        l1_block=await rounds.block_num(),
        current_round=await rounds.current_round(),
        last_initialized_round=await rounds.last_initialized_round(),
        pool_size=await client.bonding.pool_size(),
        round_start_block=await rounds.current_round_start_block(),
        round_length=length,
        round_lock_blocks=length * await rounds.round_lock_amount() // 10**6,
    )
