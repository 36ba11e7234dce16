"""Who delegates to an orchestrator, and what they did.

The contract keeps no list of delegators. They are found by the logs of stake moves since a block, and each is asked at
the chain what it has now; what the found ones do not add up to was bonded before that block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from livefleet.chain import ChainClient
from livefleet.chain.contracts.bonding_manager import GET_DELEGATOR, PENDING_FEES, PENDING_STAKE, TRANSCODER_TOTAL_STAKE
from livefleet.chain.logs import Log, LogReader
from livefleet.kernel import Address
from livefleet.ledger.events import BOND, REBOND, UNBOND

__all__ = ["Delegation", "Delegators", "StakeMove", "read_delegators", "stake_moves"]


@dataclass(frozen=True, slots=True)
class StakeMove:
    """One change of what an account has at the orchestrator."""

    delegator: Address
    what: str  # bond, unbond, rebond, left
    amount: int  # LPTU, what came is positive
    block: int
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class Delegation:
    """One delegator as the chain has it now, and its known moves."""

    address: Address
    stake: int  # LPTU with rewards; 0 where it has left
    fees: int  # wei that it could withdraw
    moves: tuple[StakeMove, ...]  # oldest first


@dataclass(frozen=True, slots=True)
class Delegators:
    """All that were found. LPTU."""

    orchestrator: Address
    since: int  # L2 block that logs were read from
    block: int  # that everything was read at
    found: tuple[Delegation, ...]  # the largest first; the orchestrator itself is not among them
    own_stake: int
    total_stake: int
    differing: tuple[Address, ...] | None = None  # of whom a list says otherwise than the chain; None: there was none

    @property
    def unknown_stake(self) -> int:
        """Delegated by accounts that moved nothing since `since`."""
        return self.total_stake - self.own_stake - sum(delegation.stake for delegation in self.found)


async def read_delegators(
    client: ChainClient, orchestrator: Address, *, since: int, known: Mapping[Address, int] | None = None
) -> Delegators:
    """Those that moved stake since a block, and `known` ones that another source lists with their bonded LPTU.

    Raises Transient.
    """
    block = await client.rpc.block_number()
    moves = stake_moves(await _read_logs(client, orchestrator, since, block), orchestrator)
    names = [
        name for name in dict.fromkeys((*(move.delegator for move in moves), *(known or ()))) if name != orchestrator
    ]
    bonding = client.bonding
    reads = [
        read
        for name in (orchestrator, *names)
        for read in (
            bonding.read(PENDING_STAKE, name, 0),
            bonding.read(PENDING_FEES, name, 0),
            bonding.read(GET_DELEGATOR, name),
        )
    ]
    (total,), *answers = await client.rpc.read_all(
        [bonding.read(TRANSCODER_TOTAL_STAKE, orchestrator), *reads], block=block
    )
    now = list(zip(answers[::3], answers[1::3], answers[2::3], strict=True))
    (own,), _, own_entry = now[0]
    found = [
        Delegation(
            name,
            int(stake) if entry[2] == orchestrator else 0,
            int(fees),
            tuple(move for move in moves if move.delegator == name),
        )
        for name, ((stake,), (fees,), entry) in zip(names, now[1:], strict=True)
    ]
    found.sort(key=lambda delegation: (-delegation.stake, delegation.address))
    differing = None
    if known is not None:
        bonded = {
            name: int(entry[0]) if entry[2] == orchestrator else 0
            for name, (_, _, entry) in zip(names, now[1:], strict=True)
        }
        differing = tuple(name for name, amount in known.items() if name != orchestrator and bonded[name] != amount)
    return Delegators(
        orchestrator=orchestrator,
        since=since,
        block=block,
        found=tuple(found),
        own_stake=int(own) if own_entry[2] == orchestrator else 0,
        total_stake=int(total),
        differing=differing,
    )


def stake_moves(logs: Sequence[Log], orchestrator: Address) -> list[StakeMove]:
    """What logs of the BondingManager mean for the stake at `orchestrator`, in chain order. Pure."""
    return [move for log in logs if (move := _move(log, orchestrator)) is not None]


def _move(log: Log, us: Address) -> StakeMove | None:
    if BOND.matches(log.topics):
        to, before, who, added, bonded = BOND.decode(log.topics, log.data)
        if to == us:
            return _told(log, who, "bond", added if before == us else bonded)
        return _told(log, who, "left", -(bonded - added)) if before == us else None
    for event, what, sign in ((UNBOND, "unbond", -1), (REBOND, "rebond", 1)):
        if event.matches(log.topics):
            to, who, _, amount = event.decode(log.topics, log.data)[:4]
            return _told(log, who, what, sign * amount) if to == us else None
    return None


def _told(log: Log, who: Address, what: str, amount: int) -> StakeMove:
    return StakeMove(who, what, amount, log.block_number, log.tx_hash)


async def _read_logs(client: ChainClient, orchestrator: Address, first: int, last: int) -> list[Log]:
    us = bytes(12) + bytes.fromhex(orchestrator[2:])
    moves = [BOND.topic, UNBOND.topic, REBOND.topic]
    reader = LogReader(client.rpc)
    found: dict[tuple[int, int], Log] = {}
    for topics in ([moves, [us]], [[BOND.topic], [], [us]]):
        async for _, piece in reader.read(addresses=[client.bonding.address], topics=topics, first=first, last=last):
            found |= {(log.block_number, log.log_index): log for log in piece}
    return [found[place] for place in sorted(found)]
