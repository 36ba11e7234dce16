"""Declared on-chain state kept on a local chain, one turn at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from livefleet.chain import (
    ChainHead,
    Hand,
    ProposalBox,
    Signer,
    SpendLimit,
    TransactionPolicy,
    Transactions,
    connect,
    declared_duties,
)
from livefleet.kernel import Address, Condition, ConditionBoard, Status
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import OnChainResource
from livefleet.spec import Network, NodeSpec
from tests.builders.clock import HandClock
from tests.builders.on_chain import the_head

__all__ = ["Keeping", "a_node", "keeping"]


def a_node(network: Network, **on_chain: Any) -> NodeSpec:
    """An orchestrator that declares this on chain."""
    return NodeSpec.model_validate(
        {
            "fleet": "demo",
            "name": "o1",
            "network": network.model_dump(mode="json"),
            "role": "orchestrator",
            "orchestrator": {"service_uri": "https://o.example:8935", "key": "hot"},
            "on_chain": on_chain,
        }
    )


class Keeping:
    """All loops of a node's declared state."""

    def __init__(self, node: NodeSpec, client: Any, orchestrator: Address, sender: Transactions | None, box: Path):
        self.client = client
        self.clock = HandClock()
        self.board = ConditionBoard(self.clock)
        self.box = ProposalBox(box)
        self.head: ChainHead | None = None
        reader, duties = declared_duties(
            node, client, orchestrator, self._the_head, signs=sender is not None, clock=self.clock
        )
        hand = Hand(
            orchestrator,
            sender,
            self.box,
            chain_id=client.chain_id,
            clock=self.clock,
            limit=SpendLimit(),
            sent=reader.forget,
        )
        self.loops = [
            ReconcileLoop(OnChainResource(one.duty, hand, condition=one.condition), self.board) for one in duties
        ]

    def _the_head(self) -> ChainHead:
        assert self.head is not None
        return self.head

    async def turn(self) -> dict[str, Condition]:
        """Every loop once, with the chain as it is and nothing remembered; the conditions by name."""
        self.clock.time += 3_600
        for loop in self.loops:
            self.head = await the_head(self.client)
            await loop.once()
        return {condition.name: condition for condition in self.board.all()}

    async def settle(self, turns: int = 6) -> dict[str, Condition]:
        """Turns until all stands as declared; fails where it does not."""
        for _ in range(turns):
            told = await self.turn()
            open_ = {name: c for name, c in told.items() if name != "Reconciled" and c.status is not Status.TRUE}
            if not open_:
                return told
        raise AssertionError(f"not as declared after {turns} turns: {open_}")


@asynccontextmanager
async def keeping(
    network: Network, signer: Signer, folder: Path, *, signs: bool = True, **on_chain: Any
) -> AsyncIterator[Keeping]:
    """The loops of a node whose key is the orchestrator's own, or which has none (`signs`)."""
    async with (
        await connect(network) as client,
        Transactions(
            client.rpc,
            signer,
            folder / "transactions.sqlite3",
            chain_id=client.chain_id,
            policy=TransactionPolicy(poll_s=0.05),
        ) as transactions,
    ):
        node = a_node(network, **on_chain)
        yield Keeping(node, client, signer.address, transactions if signs else None, folder / "proposals")
