"""What a key means to send, recorded before it is sent, and the store that keeps it.

An intent is one aim of one key; an attempt is one signed transaction for it (each replacement, each change of nonce and
a cancellation are attempts). The stores (`SqliteIntents`, and one over PostgreSQL) stand under one contract test.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

from livefleet.chain.models import Call, SpendLimit, TransactionOutcome
from livefleet.kernel import Address, Wei

__all__ = [
    "LIVE",
    "Attempt",
    "Intent",
    "IntentState",
    "IntentStore",
    "answer_from_json",
    "answer_to_json",
]


class IntentState(StrEnum):
    """Where an intent stands."""

    PENDING = "pending"  # recorded, perhaps sent, in no block that is known
    MINED = "mined"  # one of its attempts has a receipt, which a reorganisation may still take back
    FINAL = "final"  # the receipt lies deep enough to stay
    ABANDONED = "abandoned"  # it will not be mined: it would revert, or was cancelled


LIVE = (IntentState.PENDING, IntentState.MINED)
"""What is still followed. A purpose and a nonce have one live intent at most."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction."""

    tx_hash: bytes
    nonce: int
    raw: bytes
    gas: int
    max_fee: Wei  # wei per gas, cap
    tip: Wei  # wei per gas
    signed_at: float  # unix seconds
    cancels: bool = False  # sends nothing to the key's own address, so that the nonce is used and the call is not made


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that this key means to do on chain."""

    id: int
    purpose: str
    call: Call
    limit: SpendLimit
    replace_after_s: float | None  # None: as the policy says
    nonce: int
    state: IntentState
    created_at: float  # unix seconds
    attempts: tuple[Attempt, ...]  # in the order of signing
    outcome: TransactionOutcome | None  # of the attempt that was mined: a cancellation's where it was abandoned
    abandoned_because: str | None  # the contract's reason, when abandoned
    settled: int  # place in the order of settlement, from 1 on; 0 while live
    settled_at: float | None  # unix seconds

    @property
    def is_live(self) -> bool:
        """Whether it is still followed."""
        return self.state in LIVE


class IntentStore(Protocol):
    """The intents of one signer on one chain. An async context manager; every write is durable when it returns.

    Several processes may have one store open. Each method raises Transient where the store cannot be reached.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def record(
        self,
        purpose: str,
        call: Call,
        limit: SpendLimit,
        attempt: Attempt,
        *,
        replace_after_s: float | None,
        created_at: float,
    ) -> Intent:
        """Write an intent and its first attempt. Raises IntentTaken where its purpose or nonce has a live one."""
        ...

    async def add_attempt(self, intent: int, attempt: Attempt) -> Intent:
        """Write another attempt; the intent takes its nonce. Raises IntentTaken where another live one has that."""
        ...

    async def set_limit(self, intent: int, limit: SpendLimit, replace_after_s: float | None) -> Intent:
        """Change how much an intent may cost and how soon it is replaced."""
        ...

    async def set_state(
        self,
        intent: int,
        state: IntentState,
        *,
        at: float,
        outcome: TransactionOutcome | None = None,
        reason: str | None = None,
    ) -> Intent:
        """Say what became of an intent. A state that is not live gives it the next place in the order of settlement.

        An intent that is settled stays as it is.
        """
        ...

    async def get(self, intent: int) -> Intent:
        """One intent by id."""
        ...

    async def live(self) -> list[Intent]:
        """Every intent that is not settled, in the order of nonces."""
        ...

    async def latest(self, purpose: str) -> Intent | None:
        """The latest intent of a purpose, whatever its state."""
        ...

    async def settled(self, after: int, limit: int) -> list[Intent]:
        """Settled intents in the order of settlement, those past place `after`, `limit` at most."""
        ...


def answer_to_json(outcome: TransactionOutcome | None, reason: str | None) -> str | None:
    """What became of an intent, as the stores keep it."""
    if outcome is None and reason is None:
        return None
    kept: dict[str, Any] = {} if reason is None else {"reason": reason}
    if outcome is not None:
        kept |= {
            "tx_hash": outcome.tx_hash.hex(),
            "succeeded": outcome.succeeded,
            "gas_used": outcome.gas_used,
            "effective_gas_price": outcome.effective_gas_price,
            "block_number": outcome.block_number,
            "logs": [[address, [t.hex() for t in topics], data.hex()] for address, topics, data in outcome.logs],
        }
    return json.dumps(kept)


def answer_from_json(text: str | None) -> tuple[TransactionOutcome | None, str | None]:
    """The outcome and the reason that `answer_to_json` kept."""
    kept: Mapping[str, Any] = json.loads(text) if text else {}
    reason = kept.get("reason")
    if "tx_hash" not in kept:
        return None, reason
    outcome = TransactionOutcome(
        tx_hash=bytes.fromhex(kept["tx_hash"]),
        succeeded=kept["succeeded"],
        gas_used=kept["gas_used"],
        effective_gas_price=Wei(kept["effective_gas_price"]),
        block_number=kept["block_number"],
        logs=tuple(
            (Address(address), tuple(bytes.fromhex(topic) for topic in topics), bytes.fromhex(data))
            for address, topics, data in kept["logs"]
        ),
    )
    return outcome, reason
