"""Proposals and the chain: what is needed to sign one, and sending what was signed. Nothing here has a key."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from livefleet.chain.client import ChainClient
from livefleet.chain.envelope import SignedTransaction
from livefleet.chain.errors import NodeError, OutOfFunds, Reverted
from livefleet.chain.fees import Fees
from livefleet.chain.models import Call
from livefleet.chain.offline import PreparedProposal, SignedProposal
from livefleet.chain.proposal import Proposal
from livefleet.chain.rpc import Rpc
from livefleet.kernel import ZERO_ADDRESS, Address, BadInput, Clock, OutsideWorld, SystemClock, Transient, Wei
from livefleet.spec.amounts import eth_text

__all__ = ["Sent", "broadcast", "contract_names", "prepare"]

_GAS_MARGIN_PERCENT: Final = 150  # of the estimate: Arbitrum's L1 part moves until it is sent
_ASSUMED_GAS: Final = 2_000_000  # of a call that only works after the ones before it; more than any of them takes
_GOVERNANCE: Final = ("LivepeerGovernor", "Treasury", "BondingVotes", "PollCreator")
_LOOKS: Final = 3  # one endpoint may be behind another that has mined the call before
_LOOK_AGAIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sent:
    """A call of a proposal that is on the chain."""

    number: int  # from 1
    tx_hash: bytes
    block_number: int
    gas_used: int
    cost: Wei
    was_there: bool  # mined before this run


async def contract_names(client: ChainClient) -> dict[Address, str]:
    """The protocol's contracts by address."""
    own = (client.token, client.bonding, client.broker, client.rounds, client.minter, client.services)
    names = {contract.address: type(contract).__name__ for contract in own}
    if client.ai_services is not None:
        names[client.ai_services.address] = "ServiceRegistry of AI"
    found = await client.controller.addresses(_GOVERNANCE)
    names |= {address: name for name, address in found.items() if address != ZERO_ADDRESS}
    names[client.controller.address] = "Controller"
    return names


async def prepare(
    client: ChainClient, proposal: Proposal, *, headroom: int = 2, clock: Clock | None = None
) -> PreparedProposal:
    """Nonce, fees and gas for a proposal, as the chain stands now; nothing is sent.

    Args:
        client: The chain.
        proposal: What is to be signed.
        headroom: How many times the base fee of now may be paid; more for what will be sent later.
        clock: Says when it was prepared.

    Raises:
        BadInput: the proposal is for another chain.
        OutOfFunds: the signer cannot pay for it.
        OutsideWorld: the first call would fail now, a contract is not there, or the signer has transactions under way.
        Transient: the chain cannot be asked.
    """
    if client.chain_id != proposal.chain_id:
        raise BadInput(
            f"proposal {proposal.id} is for chain {proposal.chain_id}, the endpoints serve chain {client.chain_id}; "
            "nothing is signed"
        )
    contracts = await contract_names(client)
    for number, call in enumerate(proposal.calls, 1):
        if call.data and call.to not in contracts and not await client.rpc.has_code(call.to):
            raise OutsideWorld(f"call {number} goes to {call.to}, where there is no contract; nothing is signed")
    block, mined, pending, balance = await client.rpc.batch(
        [
            ("eth_getBlockByNumber", ("latest", False)),
            ("eth_getTransactionCount", (proposal.signer, "latest")),
            ("eth_getTransactionCount", (proposal.signer, "pending")),
            ("eth_getBalance", (proposal.signer, "latest")),
        ]
    )
    if (under_way := int(pending, 16) - int(mined, 16)) > 0:
        raise OutsideWorld(f"{proposal.signer} has {under_way} transactions under way: wait until they are mined")
    gas, assumed = await _gas(client.rpc, proposal)
    base_fee, tip = int(block.get("baseFeePerGas") or "0x0", 16), await _tip(client.rpc)
    prepared = PreparedProposal(
        proposal=proposal,
        nonce=int(mined, 16),
        fees=Fees(max_fee=Wei(max(headroom * base_fee + tip, 1)), tip=Wei(tip)),
        gas=gas,
        assumed=assumed,
        contracts=contracts,
        prepared_at=(clock or SystemClock()).now(),
    )
    if int(balance, 16) < prepared.most:
        raise OutOfFunds(
            f"{proposal.signer} holds {eth_text(int(balance, 16))}, and proposal {proposal.id} may take "
            f"{eth_text(prepared.most)}: send it some ETH"
        )
    return prepared


async def broadcast(
    rpc: Rpc,
    signed: SignedProposal,
    *,
    timeout_s: float = 300.0,
    poll_s: float = 1.0,
    on_sent: Callable[[int, bytes], None] | None = None,
) -> tuple[Sent, ...]:
    """Send a signed proposal, each call after the one before it is mined; one that is mined already counts as sent.

    Raises BadInput where the endpoints serve another chain; OutsideWorld where a nonce was taken by another
    transaction, a call would fail or failed, or it is not mined in `timeout_s`; Transient where the chain cannot be
    asked. What comes after is not sent then; the same again goes on from there.
    """
    transactions = signed.transactions
    chain_id = await rpc.chain_id()
    if chain_id != signed.proposal.chain_id:
        raise BadInput(
            f"this is signed for chain {signed.proposal.chain_id}, the endpoints serve chain {chain_id}; nothing was "
            "sent"
        )
    done: list[Sent] = []
    for number, (raw, transaction) in enumerate(zip(signed.raw, transactions, strict=True), 1):
        receipt = await _receipt(rpc, transaction.hash)
        was_there = receipt is not None
        if receipt is None and not await _is_known(rpc, transaction.hash):
            await _check_sendable(rpc, number, transaction)
            await _offer(rpc, number, raw)
        if not was_there and on_sent is not None:
            on_sent(number, transaction.hash)
        if receipt is None:
            receipt = await _mined(rpc, number, transaction, timeout_s=timeout_s, poll_s=poll_s)
        done.append(_sent(number, transaction, receipt, was_there=was_there))
    return tuple(done)


async def _gas(rpc: Rpc, proposal: Proposal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Gas limits, and the indices of those that are assumed."""
    limits: list[int] = []
    assumed: list[int] = []
    for index, call in enumerate(proposal.calls):
        try:
            limits.append(await rpc.estimate_gas(call.call(), proposal.signer) * _GAS_MARGIN_PERCENT // 100)
        except Reverted as error:
            if index == 0:
                raise OutsideWorld(f"{_would_fail(1, error)}; nothing is signed") from error
            limits.append(_ASSUMED_GAS)
            assumed.append(index)
    return tuple(limits), tuple(assumed)


async def _check_sendable(rpc: Rpc, number: int, transaction: SignedTransaction) -> None:
    nonce = -1
    for look in range(_LOOKS):
        await asyncio.sleep(_LOOK_AGAIN_S * look)
        nonce = int(await rpc.request("eth_getTransactionCount", transaction.sender, "latest"), 16)
        if nonce == transaction.nonce:
            break
    if nonce > transaction.nonce:
        raise OutsideWorld(
            f"call {number} has nonce {transaction.nonce}, and {transaction.sender} is at {nonce} already: another "
            "transaction took it. Prepare and sign again; nothing was sent"
        )
    if nonce < transaction.nonce:
        raise OutsideWorld(
            f"call {number} has nonce {transaction.nonce}, and {transaction.sender} is at {nonce}: a transaction "
            "before it is missing. Nothing was sent"
        )
    call = Call(to=transaction.to, data=transaction.data, value=transaction.value)
    try:
        await rpc.simulate(call, transaction.sender)
    except Reverted as error:
        raise OutsideWorld(f"{_would_fail(number, error)}; it was not sent") from error


async def _offer(rpc: Rpc, number: int, raw: bytes) -> None:
    try:
        await rpc.request("eth_sendRawTransaction", "0x" + raw.hex())
    except (NodeError, Reverted) as error:
        raise OutsideWorld(
            f"the node does not take call {number}: {error}. Where it says that the fee is too low, prepare and sign "
            "again; where it says insufficient funds, send the signer ETH"
        ) from error


async def _mined(
    rpc: Rpc, number: int, transaction: SignedTransaction, *, timeout_s: float, poll_s: float
) -> dict[str, Any]:
    said = ""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    receipt = await _receipt(rpc, transaction.hash)
                except Transient as error:  # it is on its way all the same
                    said, receipt = f"; the last look said: {error}", None
                if receipt is not None:
                    return receipt
                await asyncio.sleep(poll_s)
    except TimeoutError as error:
        raise OutsideWorld(
            f"call {number} (0x{transaction.hash.hex()}) is sent and not mined after {timeout_s:.0f} s{said}; run the "
            "same again to go on waiting"
        ) from error


def _sent(number: int, transaction: SignedTransaction, receipt: dict[str, Any], *, was_there: bool) -> Sent:
    block, used = int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16)
    if int(receipt["status"], 16) != 1:
        why = " (it ran out of gas)" if used >= transaction.gas else ""
        raise OutsideWorld(
            f"call {number} (0x{transaction.hash.hex()}) was mined in block {block} and failed{why}; the calls after "
            "it are not sent"
        )
    cost = Wei(used * int(receipt["effectiveGasPrice"], 16) + transaction.value)
    return Sent(number, transaction.hash, block, used, cost, was_there)


async def _receipt(rpc: Rpc, tx_hash: bytes) -> dict[str, Any] | None:
    receipt: dict[str, Any] | None = await rpc.request("eth_getTransactionReceipt", "0x" + tx_hash.hex())
    return receipt


async def _is_known(rpc: Rpc, tx_hash: bytes) -> bool:
    return await rpc.request("eth_getTransactionByHash", "0x" + tx_hash.hex()) is not None


async def _tip(rpc: Rpc) -> int:
    try:
        return int(await rpc.request("eth_maxPriorityFeePerGas"), 16)
    except NodeError:
        return 0


def _would_fail(number: int, error: Reverted) -> str:
    hint = ""
    if "locked" in error.reason:
        hint = ": the last tenth of a round is closed for this; try again in the next round"
    return f"call {number} would fail now, the contract says: {error.reason or 'nothing'}{hint}"
