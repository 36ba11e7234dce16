"""What hosts declare on chain against what is there, computed on the operator's machine."""

import time
from dataclasses import dataclass
from pathlib import Path

from livefleet.chain import (
    ChainClient,
    ChainHead,
    ChainWatcher,
    Change,
    DutyPlan,
    Proposal,
    Reverted,
    WrongChain,
    checksum_address,
    connect,
    declared_duties,
    orchestrator_of,
    propose,
    proposed_call,
)
from livefleet.kernel import Address, BadInput, OutsideWorld, SystemClock, Wei
from livefleet.spec import Fleet, KeyRole, NodeSpec, load_fleet

__all__ = ["DutyOnHost", "HostPlan", "LowBalance", "hosts_with_declarations", "plan_host", "proposal_of"]


@dataclass(frozen=True, slots=True)
class DutyOnHost:
    """One declared thing: how it stands, and what would be sent for it."""

    topic: str
    condition: str
    plan: DutyPlan


@dataclass(frozen=True, slots=True)
class LowBalance:
    """A key of the node with less ETH than `on_chain.gas.warn_below`."""

    key: str
    address: Address
    balance: Wei
    warn_below: Wei


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host's orchestrator."""

    host: str
    chain_id: int
    orchestrator: Address
    head: ChainHead
    node_signs: bool  # else its changes are proposals
    duties: tuple[DutyOnHost, ...]
    low_balances: tuple[LowBalance, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that would be sent, in order."""
        return tuple(change for duty in self.duties for change in duty.plan.changes)


def hosts_with_declarations(path: Path, host: str | None) -> tuple[Fleet, tuple[str, ...]]:
    """The fleet, and which of its hosts declare something. Raises BadInput for a wrong spec, or where none does."""
    fleet = load_fleet(path)
    if host is not None and fleet.node(host).on_chain is None:
        raise BadInput(f"{path}: `{host}` declares nothing under `on_chain`")
    names = tuple(name for name in fleet.hosts if host in (None, name) and fleet.node(name).on_chain is not None)
    if not names:
        raise BadInput(f"{path}: no host declares anything under `on_chain`")
    return fleet, names


async def plan_host(name: str, node: NodeSpec) -> HostPlan:
    """Read the chain once and compare. Nothing is sent.

    Raises BadInput where the spec does not say whose state it is, OutsideWorld and Transient where the chain is another
    one, has no such contracts or does not answer.
    """
    orchestrator = orchestrator_of(node)
    if orchestrator is None:
        key = node.orchestrator.key if node.orchestrator is not None else None
        hint = f"say `keys.{key}.address`, or `on_chain.orchestrator`" if key else "say `on_chain.orchestrator`"
        raise BadInput(f"`{name}`: the spec does not say which address is the orchestrator's: {hint}")
    signs = _node_signs(node, orchestrator)
    try:
        async with await connect(node.network) as client:
            head = await ChainWatcher(client, recipient=orchestrator).look()
            _, duties = declared_duties(node, client, orchestrator, lambda: head, signs=signs, clock=SystemClock())
            found = []
            for one in duties:
                plan = one.duty.plan(await one.duty.observe(60.0))
                found.append(DutyOnHost(one.duty.topic, one.condition, plan))
            low = await _low_balances(node, client)
            return HostPlan(name, client.chain_id, orchestrator, head, signs, tuple(found), low)
    except (WrongChain, Reverted) as error:
        raise OutsideWorld(f"`{name}`: {error}; nothing was sent") from error


def proposal_of(host: HostPlan, duty: DutyOnHost) -> Proposal:
    """The duty's changes as one proposal. Its plan must have some."""
    return propose(
        chain_id=host.chain_id,
        signer=host.orchestrator,
        topic=duty.topic,
        title="; ".join(change.title for change in duty.plan.changes),
        reason=f"declared under `on_chain`: {duty.plan.reason}",
        calls=[proposed_call(change.call, change.function) for change in duty.plan.changes],
        made_at=time.time(),
    )


async def _low_balances(node: NodeSpec, client: ChainClient) -> tuple[LowBalance, ...]:
    """Of the keys that pay for transactions, as far as the spec says their addresses."""
    below = Wei(node.on_chain.gas.warn_below if node.on_chain is not None else 0)
    idle = {KeyRole.IDENTITY, KeyRole.COLD}
    named = {
        name: checksum_address(bytes.fromhex(key.address[2:]))
        for name, key in node.keys.items()
        if key.address is not None and not (key.roles and idle.issuperset(key.roles))
    }
    raw = await client.rpc.batch([("eth_getBalance", (address, "latest")) for address in named.values()])
    held = zip(named.items(), (Wei(int(one, 16)) for one in raw), strict=True)
    return tuple(LowBalance(name, address, balance, below) for (name, address), balance in held if balance < below)


def _node_signs(node: NodeSpec, orchestrator: Address) -> bool:
    assert node.on_chain is not None  # hosts_with_declarations
    own = {key.address.lower() for key in node.keys.values() if key.address is not None}
    return node.on_chain.signed_by == "node" and orchestrator.lower() in own
