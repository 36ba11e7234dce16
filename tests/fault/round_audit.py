"""What the chain and the nodes' own books say after a run of rounds; nothing here asks the nodes to be right."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from livefleet.chain import ChainClient, Rpc
from livefleet.chain.contracts.bonding_manager import (
    REWARD,
    REWARD_FOR_TRANSCODER_WITH_HINT,
    REWARD_WITH_HINT,
)
from livefleet.chain.contracts.rounds_manager import NEW_ROUND
from livefleet.kernel import Address
from livefleet.payments import StoredTicket, TicketState
from livefleet.roles.stores import stored_tickets
from livefleet.spec import load_node

_BATCH = 100
_REWARDS = frozenset(function.selector for function in (REWARD_WITH_HINT, REWARD_FOR_TRANSCODER_WITH_HINT))


@dataclass(frozen=True)
class RewardsOnChain:
    """Every reward call of one orchestrator that was mined, in the chain as it is now."""

    rounds: Counter[int]  # by the round that it was made in
    reverted: int  # calls that were mined and refused: gas for nothing
    started: dict[int, int]  # block at which each round was initialised
    called: dict[int, int]  # block of each round's first reward

    def delays(self, rounds: Iterable[int]) -> list[int]:
        """Blocks from initialisation to reward."""
        return [self.called[r] - self.started[r] for r in rounds if r in self.called and r in self.started]


@dataclass
class TicketsOfNode:
    """A node's winners, and whether the chain agrees."""

    by_state: Counter[TicketState] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)  # by the reason that the node gives
    unnamed: int = 0  # lost without a reason
    paid: int = 0  # wei, by the node's word
    untrue: list[str] = field(default_factory=list)  # what the chain says otherwise


async def rewards_on_chain(client: ChainClient, orchestrator: Address, senders: Sequence[Address]) -> RewardsOnChain:
    """Read the whole chain; `senders` are the keys that may have called."""
    rpc, bonding = client.rpc, client.bonding.address
    last = await rpc.block_number()
    started = {
        int(round_): block
        async for block, (round_, *_) in _events(rpc, client.rounds.address, NEW_ROUND, last)  # the latest counts
    }
    rounds: Counter[int] = Counter()
    called: dict[int, int] = {}
    starts = sorted((block, round_) for round_, block in started.items())
    async for block, (who, *_) in _events(rpc, bonding, REWARD, last):
        if who == orchestrator:
            round_ = max(round_ for start, round_ in starts if start <= block)
            rounds[round_] += 1
            called.setdefault(round_, block)
    return RewardsOnChain(rounds, await _reverted_rewards(rpc, bonding, senders, last), started, called)


async def _events(rpc: Rpc, address: Address, event, last: int):
    topic = "0x" + event.topic.hex()
    for first in range(0, last + 1, 2000):
        query = {
            "address": address,
            "topics": [topic],
            "fromBlock": hex(first),
            "toBlock": hex(min(last, first + 1999)),
        }
        for log in await rpc.request("eth_getLogs", query):
            topics = tuple(_raw(topic) for topic in log["topics"])
            yield int(log["blockNumber"], 16), event.decode(topics, _raw(log["data"]))


async def _reverted_rewards(rpc: Rpc, bonding: Address, senders: Sequence[Address], last: int) -> int:
    ours = {sender.lower() for sender in senders}
    calls: list[str] = []
    for first in range(0, last + 1, _BATCH):
        numbers = range(first, min(last + 1, first + _BATCH))
        blocks = await rpc.batch([("eth_getBlockByNumber", (hex(number), True)) for number in numbers])
        for number, block in zip(numbers, blocks, strict=True):
            transactions = await _one_by_one(rpc, number) if block is None else block["transactions"]
            calls += [
                transaction["hash"]
                for transaction in transactions
                if transaction["from"].lower() in ours
                and (transaction["to"] or "").lower() == bonding.lower()
                and _raw(transaction["input"])[:4] in _REWARDS
            ]
    receipts = await rpc.batch([("eth_getTransactionReceipt", (call,)) for call in calls]) if calls else []
    return sum(receipt is not None and int(receipt["status"], 16) == 0 for receipt in receipts)


async def _one_by_one(rpc: Rpc, number: int) -> list[dict]:
    """A block's transactions where the simulator does not give it whole: after reorganisations it has lost some."""
    block = (await rpc.batch([("eth_getBlockByNumber", (hex(number), False))]))[0]
    assert block is not None, f"block {number} is not there"
    hashes = block["transactions"]
    found = await rpc.batch([("eth_getTransactionByHash", (tx_hash,)) for tx_hash in hashes]) if hashes else []
    return [transaction for transaction in found if transaction is not None]


async def tickets_of_node(client: ChainClient, node_yaml: Path) -> TicketsOfNode:
    """Compare what a node has won with the contract, ticket by ticket."""
    found = TicketsOfNode()
    for stored in await stored_tickets(load_node(node_yaml)):
        found.by_state[stored.state] += 1
        found.paid += int(stored.paid or 0)
        if stored.state is TicketState.LOST:
            found.lost[stored.note or ""] += 1
            found.unnamed += not stored.note
        used = await client.broker.is_used(stored.winner.ticket.hash)
        if used != (stored.state is TicketState.REDEEMED):
            found.untrue.append(_disagreement(stored, used=used))
    return found


def _disagreement(stored: StoredTicket, *, used: bool) -> str:
    chain = "used" if used else "not used"
    return f"{stored.winner.ticket.hash.hex()} is {stored.state.value} ({stored.note}) here and {chain} on chain"


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
