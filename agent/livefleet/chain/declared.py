"""From what a node's spec declares on chain to the duties that keep it so."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livefleet.chain.activation import ActivationDuty
from livefleet.chain.change import OnChainDuty
from livefleet.chain.client import ChainClient
from livefleet.chain.cuts import WHOLE, Cuts, CutsDuty
from livefleet.chain.fees_withdrawal import FeesWithdrawalDuty
from livefleet.chain.models import ChainHead
from livefleet.chain.on_chain import OnChainReader, Wanted
from livefleet.chain.reward_caller import RewardCallerDuty
from livefleet.chain.self_stake import SelfStakeDuty
from livefleet.chain.service_uri import ServiceUriDuty
from livefleet.chain.signature import checksum_address
from livefleet.chain.stake_transfer import StakeTransferDuty
from livefleet.kernel import ZERO_ADDRESS, Address, BadInput, Clock
from livefleet.spec import NodeSpec
from livefleet.spec.on_chain import NOBODY, SAME, OnChain

__all__ = ["DeclaredDuty", "declared_duties", "orchestrator_of"]

_PROPOSAL_UNITS = 10  # a proposal's amount is a multiple of a tenth of its threshold


@dataclass(frozen=True, slots=True)
class DeclaredDuty:
    """A duty and the name of the condition that tells of it."""

    condition: str
    duty: OnChainDuty[Any]


def orchestrator_of(node: NodeSpec) -> Address | None:
    """Whose state `on_chain` is about, as far as the spec says; else it is the address of the node's own key."""
    key = node.keys.get(node.orchestrator.key or "") if node.orchestrator is not None else None
    named = (
        node.on_chain.orchestrator if node.on_chain is not None else None,
        node.keykeeper.orchestrator if node.keykeeper is not None else None,
        node.orchestrator.recipient if node.orchestrator is not None else None,
        key.address if key is not None else None,
    )
    return next((_address(text) for text in named if text is not None), None)


def declared_duties(
    node: NodeSpec,
    client: ChainClient,
    orchestrator: Address,
    head: Callable[[], ChainHead],
    *,
    signs: bool,
    clock: Clock,
    first: Callable[[], str] = lambda: "",
) -> tuple[OnChainReader, tuple[DeclaredDuty, ...]]:
    """What the spec declares, over one shared reader. `signs`: the changes are sent, not proposed. Raises BadInput.

    `first`: what goes before stake that would end an evicted orchestrator's activity, in words.
    """
    declared = node.on_chain or OnChain()
    uris = [_uri(node, declared, field) for field in ("service_uri", "ai_service_uri")]
    service_uri, ai_service_uri = uris
    if declared.ai_service_uri is None and client.ai_services is None:
        ai_service_uri = None  # nobody asked for what this chain does not have
    wanted = Wanted(
        fees=declared.withdraw_fees is not None,
        reward_caller=declared.reward_caller is not None,
        service_uri=service_uri is not None,
        ai_service_uri=ai_service_uri is not None,
    )
    reader = OnChainReader(client, orchestrator, wanted, head, clock=clock)
    found: list[DeclaredDuty] = []
    if declared.activate:
        found.append(
            DeclaredDuty("OrchestratorActivated", _activation(node, declared, reader, service_uri, ai_service_uri))
        )
    if declared.min_self_stake is not None:
        found.append(DeclaredDuty("SelfStakeInStep", SelfStakeDuty(reader, declared.min_self_stake, first=first)))
    if declared.reward_cut is not None or declared.fee_cut is not None:
        found.append(DeclaredDuty("CutsInStep", _cuts(node, declared, reader)))
    if service_uri is not None:
        found.append(DeclaredDuty("ServiceUriInStep", ServiceUriDuty(reader, client.services, service_uri)))
    if ai_service_uri is not None:
        duty = ServiceUriDuty(reader, client.ai_services, ai_service_uri, is_ai=True)
        found.append(DeclaredDuty("AiServiceUriInStep", duty))
    if declared.reward_caller is not None:
        caller = ZERO_ADDRESS if declared.reward_caller == NOBODY else _address(declared.reward_caller)
        found.append(DeclaredDuty("RewardCallerInStep", RewardCallerDuty(reader, caller)))
    found += _transfers(declared, reader, signs=signs)
    return reader, tuple(found)


def _activation(
    node: NodeSpec, declared: OnChain, reader: OnChainReader, service_uri: str | None, ai_service_uri: str | None
) -> ActivationDuty:
    reward_cut, fee_cut, stake = declared.reward_cut, declared.fee_cut, declared.min_self_stake
    if reward_cut is None or fee_cut is None or stake is None or service_uri is None:
        raise BadInput("on_chain.activate needs reward_cut, fee_cut, min_self_stake and a service URI")
    return ActivationDuty(
        reader,
        Cuts(reward_cut, WHOLE - fee_cut),
        stake,
        service_uri,
        None if reader.client.ai_services is None else ai_service_uri,
        node.network.l1_block_s,
    )


def _cuts(node: NodeSpec, declared: OnChain, reader: OnChainReader) -> CutsDuty:
    return CutsDuty(
        reader,
        declared.reward_cut,
        declared.fee_cut,
        declared.max_change,
        node.network.l1_block_s,
        first_are_others=declared.activate,
    )


def _transfers(declared: OnChain, reader: OnChainReader, *, signs: bool) -> list[DeclaredDuty]:
    found = []
    if (fees := declared.withdraw_fees) is not None:
        assert fees.to is not None  # checked with the spec
        unit = 1 if signs else max(1, fees.above // _PROPOSAL_UNITS)
        duty = FeesWithdrawalDuty(reader, _address(fees.to), fees.above, fees.keep, unit)
        found.append(DeclaredDuty("FeesWithdrawn", duty))
    if (stake := declared.transfer_stake) is not None:
        assert stake.to is not None  # likewise
        keep = max(stake.keep or 0, declared.min_self_stake or 0)
        unit = 1 if signs else max(1, stake.above // _PROPOSAL_UNITS)
        transfer = StakeTransferDuty(reader, _address(stake.to), stake.above, keep, unit)
        found.append(DeclaredDuty("StakeTransferred", transfer))
    return found


def _uri(node: NodeSpec, declared: OnChain, field: str) -> str | None:
    said: str | None = getattr(declared, field)
    if said is None and declared.activate and (field == "service_uri" or node.models):
        said = SAME
    if said != SAME:
        return said
    if node.orchestrator is None:
        raise BadInput(f"on_chain.{field}: `same` as what: this node has no orchestrator.service_uri")
    return node.orchestrator.service_uri


def _address(text: str) -> Address:
    if not text.startswith("0x"):
        raise BadInput(
            f"on_chain: {text!r} is the name of a key; nodes need its address: render the node from its fleet"
        )
    return checksum_address(bytes.fromhex(text[2:]))
