"""What to do next for an intent, from what the chain says of its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain.intents import Intent, IntentState
from livefleet.chain.models import TransactionOutcome
from livefleet.chain.rpc import Rpc
from livefleet.chain.signature import checksum_address
from livefleet.kernel import Address, Wei

__all__ = [
    "Fill",
    "Include",
    "Lost",
    "Replace",
    "Resend",
    "Settle",
    "Sight",
    "Step",
    "Undo",
    "Wait",
    "next_step",
    "see",
]

_POOL_ASKED = 20  # intents whose place in the node's pool is looked up at once, lowest nonce first


@dataclass(frozen=True, slots=True)
class Sight:
    """The chain as one look at a key found it."""

    block: int  # the node's own (L2) number
    base_fee: int  # wei per gas
    mined_nonce: int  # transactions of the key that are mined
    pending_nonce: int  # the same with those in the node's pool that follow without a gap
    receipts: Mapping[bytes, TransactionOutcome | None]  # by hash, of the attempts that were asked about
    known: Mapping[bytes, bool]  # whether the node knows the transaction, likewise


@dataclass(frozen=True, slots=True)
class Settle:
    """Its receipt lies deep enough: it is settled."""

    outcome: TransactionOutcome


@dataclass(frozen=True, slots=True)
class Include:
    """It has a receipt, which may still be taken back."""

    outcome: TransactionOutcome


@dataclass(frozen=True, slots=True)
class Undo:
    """Its receipt is gone: it is pending again, and sent again as it was."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another transaction of the key was mined with its nonce."""


@dataclass(frozen=True, slots=True)
class Resend:
    """The node does not know it, or has forgotten it."""


@dataclass(frozen=True, slots=True)
class Replace:
    """It was offered too little, or for too long."""


@dataclass(frozen=True, slots=True)
class Fill:
    """A nonce before it is used by nobody, and nothing behind it can be mined."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do; why it is not settled, in words, empty where it only needs a block."""

    because: str = ""


Step = Settle | Include | Undo | Lost | Resend | Replace | Fill | Wait


def next_step(intent: Intent, sight: Sight, *, confirmations: int, is_first: bool, is_overdue: bool) -> Step:
    """The one thing to do for a live intent. Pure.

    `is_first`: no other pending intent of the key has a lower nonce. `is_overdue`: it was offered long enough without
    a receipt, and may be replaced once more.
    """
    asked = [attempt for attempt in intent.attempts if attempt.tx_hash in sight.receipts]
    outcome = next((found for a in asked if (found := sight.receipts[a.tx_hash]) is not None), None)
    if outcome is not None:
        # The block number is asked for first: the receipt may be of a block that came in between.
        if max(sight.block - outcome.block_number, 0) >= confirmations:
            return Settle(outcome)
        return Wait() if intent.state is IntentState.MINED and intent.outcome == outcome else Include(outcome)
    if intent.state is IntentState.MINED:
        return Undo() if asked else Wait()
    if sight.mined_nonce > intent.nonce:
        return Lost()
    return _while_unmined(intent, sight, is_first=is_first, is_overdue=is_overdue)


def _while_unmined(intent: Intent, sight: Sight, *, is_first: bool, is_overdue: bool) -> Step:
    last = intent.attempts[-1]
    if sight.base_fee > last.max_fee:
        return Replace()
    if is_first and sight.mined_nonce < intent.nonce:
        if sight.pending_nonce > sight.mined_nonce:
            return Wait(f"nonce {sight.mined_nonce} is another transaction of this key, which is not mined yet")
        if is_overdue:
            return Fill(sight.mined_nonce)
    elif is_first and is_overdue:
        return Replace()
    return Resend() if sight.known.get(last.tx_hash) is False else Wait()


async def see(rpc: Rpc, signer: Address, live: Sequence[Intent], *, confirmations: int) -> Sight:
    """Look at the chain for a key's live intents, in two round trips."""
    block, mined, pending = await rpc.batch(
        [
            ("eth_getBlockByNumber", ("latest", False)),
            ("eth_getTransactionCount", (signer, "latest")),
            ("eth_getTransactionCount", (signer, "pending")),
        ]
    )
    number, mined_nonce = int(block["number"], 16), int(mined, 16)
    hashes = [
        attempt.tx_hash
        for intent in live
        if _may_have_changed(intent, number, mined_nonce, confirmations)
        for attempt in intent.attempts
    ]
    unmined = [i for i in live if i.state is IntentState.PENDING and i.nonce >= mined_nonce][:_POOL_ASKED]
    lasts = [intent.attempts[-1].tx_hash for intent in unmined]
    answers = await rpc.batch(
        [
            *(("eth_getTransactionReceipt", ("0x" + tx_hash.hex(),)) for tx_hash in hashes),
            *(("eth_getTransactionByHash", ("0x" + tx_hash.hex(),)) for tx_hash in lasts),
        ]
    )
    receipts, found = answers[: len(hashes)], answers[len(hashes) :]
    return Sight(
        block=number,
        base_fee=int(block.get("baseFeePerGas") or "0x0", 16),
        mined_nonce=mined_nonce,
        pending_nonce=int(pending, 16),
        receipts={h: None if raw is None else _outcome(raw) for h, raw in zip(hashes, receipts, strict=True)},
        known={h: raw is not None for h, raw in zip(lasts, found, strict=True)},
    )


def _may_have_changed(intent: Intent, block: int, mined_nonce: int, confirmations: int) -> bool:
    """Whether its receipts are worth a question."""
    if intent.state is IntentState.MINED:
        deep = intent.outcome is None or block - intent.outcome.block_number >= confirmations
        return deep or mined_nonce <= intent.nonce
    return any(attempt.nonce < mined_nonce for attempt in intent.attempts)


def _outcome(receipt: dict[str, Any]) -> TransactionOutcome:
    return TransactionOutcome(
        tx_hash=_raw(receipt["transactionHash"]),
        succeeded=int(receipt["status"], 16) == 1,
        gas_used=int(receipt["gasUsed"], 16),
        effective_gas_price=Wei(int(receipt["effectiveGasPrice"], 16)),
        block_number=int(receipt["blockNumber"], 16),
        logs=tuple(
            (
                checksum_address(_raw(entry["address"])),
                tuple(_raw(topic) for topic in entry["topics"]),
                _raw(entry["data"]),
            )
            for entry in receipt["logs"]
        ),
    )


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
