"""Follows a key's live intents to their end: looks at the chain, and does the next thing for each."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

from livefleet.chain.errors import FeeTooHigh, Reverted
from livefleet.chain.following import (
    Fill,
    Include,
    Lost,
    Replace,
    Resend,
    Settle,
    Sight,
    Step,
    Undo,
    Wait,
    next_step,
    see,
)
from livefleet.chain.intents import Intent, IntentState, IntentStore
from livefleet.chain.models import TransactionOutcome
from livefleet.chain.offers import Answer, Offers
from livefleet.chain.rpc import Rpc
from livefleet.kernel import Address, Clock, LivefleetError, Wei

__all__ = ["Follower", "TransactionPolicy", "WaitingTransaction"]

log = logging.getLogger(__name__)

_LOOKS_BEFORE_LOST = 3  # a receipt may lag behind the nonce on a load-balanced endpoint


@dataclass(frozen=True, slots=True)
class TransactionPolicy:
    """How patiently transactions are followed and how far fees may go."""

    poll_s: float = 2.0  # between two looks at unsettled intents, at most
    replace_after_s: float = 300.0  # without a receipt, fees are raised; a send may say its own
    max_replacements: int = 6  # of one nonce for being late; not counted while the base fee is over the offer
    fee_ceiling: Wei = Wei(0)  # wei per gas; 0: none. A call's own limit counts too
    gas_margin_percent: int = 125  # of the estimate, which Arbitrum's L1 part makes move
    confirmations: int = 0  # blocks (L2) on top of a receipt after which it is taken to stay
    lease_s: float = 30.0  # how long the key stays ours without word from us


@dataclass(frozen=True, slots=True)
class WaitingTransaction:
    """An intent that is not settled, and why."""

    purpose: str
    nonce: int
    because: str  # a sentence; empty where it only needs a block


class Follower:
    """The live intents of one key.

    `sending` is held while a nonce is chosen; `check_key` raises where we may not send; `wake` hears of each intent
    that is in a block or given up.
    """

    def __init__(
        self,
        rpc: Rpc,
        address: Address,
        store: IntentStore,
        offers: Offers,
        *,
        sending: asyncio.Lock,
        check_key: Callable[[], None],
        wake: Callable[[int], None],
        policy: TransactionPolicy,
        clock: Clock,
    ) -> None:
        self._rpc = rpc
        self._address = address
        self._store = store
        self._offers = offers
        self._sending = sending
        self._check_key = check_key
        self._wake = wake
        self._policy = policy
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looks_lost: dict[int, int] = {}  # in a row, while its nonce counts as used and no receipt is there
        self._offered_at: dict[int, float] = {}  # monotonic, of the last attempt; or of coming first in line
        self._first: int | None = None
        self._hurried: set[int] = set()  # the node wants more than was offered
        self._waiting: dict[int, WaitingTransaction] = {}

    @property
    def waiting(self) -> tuple[WaitingTransaction, ...]:
        """What was not settled at the last look, by nonce, and why."""
        return tuple(sorted(self._waiting.values(), key=lambda waiting: waiting.nonce))

    def forget(self) -> None:
        """Another process follows them now."""
        self._waiting.clear()

    def offered(self, intent: Intent, answer: Answer, *, again: bool = False) -> None:
        """An attempt was handed to a node, or the last one was `again`."""
        if not again:
            self._offered_at[intent.id] = self._clock.monotonic()
        self._hurried.discard(intent.id)
        if answer is Answer.UNDERPRICED:
            self._hurried.add(intent.id)

    async def look(self) -> bool:
        """Ask the chain what became of every live intent and do the next thing for each; whether none is left."""
        async with self._looking:
            live = await self._store.live()
            if live:
                sight = await see(self._rpc, self._address, live, confirmations=self._policy.confirmations)
                self._line_up(live)
                for intent in live:
                    self._check_key()
                    await self._take_step(intent, self._step(intent, sight), sight)
            self._keep({intent.id for intent in live})
            return not await self._store.live()

    def _keep(self, live: set[int]) -> None:
        memories: tuple[dict[int, Any], ...] = (self._waiting, self._offered_at, self._looks_lost)
        for memory in memories:
            for gone in memory.keys() - live:
                del memory[gone]
        self._hurried &= live

    def _line_up(self, live: list[Intent]) -> None:
        """Note who is first in line: the wait of one that was behind another begins when it comes first."""
        first = next((intent.id for intent in live if intent.state is IntentState.PENDING), None)
        if first is not None and first != self._first and self._first is not None:
            self._offered_at[first] = self._clock.monotonic()
        self._first = first

    def _step(self, intent: Intent, sight: Sight) -> Step:
        last = intent.attempts[-1]
        if intent.id not in self._offered_at:  # of an earlier life
            wall_s = max(self._clock.now() - last.signed_at, 0.0)
            self._offered_at[intent.id] = self._clock.monotonic() - wall_s
        patience = self._policy.replace_after_s if intent.replace_after_s is None else intent.replace_after_s
        late = self._clock.monotonic() - self._offered_at[intent.id] >= patience or intent.id in self._hurried
        tries = sum(attempt.nonce == intent.nonce for attempt in intent.attempts)
        return next_step(
            intent,
            sight,
            confirmations=self._policy.confirmations,
            is_first=intent.id == self._first,
            is_overdue=late and tries <= self._policy.max_replacements,
        )

    async def _take_step(self, intent: Intent, step: Step, sight: Sight) -> None:
        try:
            because = await self._do(intent, step, sight)
        except LivefleetError as error:  # of the signer, a node, the store: the next look tries again
            because = str(error)
        before = self._waiting.get(intent.id)
        self._waiting[intent.id] = WaitingTransaction(intent.purpose, intent.nonce, because)
        if because and (before is None or before.because != because):
            log.warning("transaction.waiting", extra={"purpose": intent.purpose, "because": because})

    async def _do(self, intent: Intent, step: Step, sight: Sight) -> str:
        """Take a step; why the intent still waits, where there is something to say."""
        match step:
            case Settle(outcome):
                end = IntentState.ABANDONED if _cancels(intent, outcome) else IntentState.FINAL
                await self._note_block(intent, outcome, end)
            case Include(outcome):
                await self._note_block(intent, outcome, IntentState.MINED)
            case Undo():
                await self._undo(intent)
            case Lost():
                return await self._lost(intent, sight)
            case Resend():
                self.offered(intent, await self._offers.send(intent), again=True)
            case Replace():
                return await self._replace(intent, sight)
            case Fill(nonce):
                return await self._fill(intent, nonce)
            case Wait(because):
                return because
            case _:
                assert_never(step)
        return ""

    async def _note_block(self, intent: Intent, outcome: TransactionOutcome, state: IntentState) -> None:
        reason = intent.abandoned_because or "cancelled" if _cancels(intent, outcome) else None
        await self._store.set_state(intent.id, state, at=self._clock.now(), outcome=outcome, reason=reason)
        if intent.state is IntentState.PENDING:
            log.info(
                "transaction.mined",
                extra={
                    "purpose": intent.purpose,
                    "tx": "0x" + outcome.tx_hash.hex(),
                    "succeeded": outcome.succeeded,
                    "cancelled": reason is not None,
                    "gas_used": outcome.gas_used,
                    "block": outcome.block_number,
                },
            )
        self._wake(intent.id)

    async def _undo(self, intent: Intent) -> None:
        """A reorganisation took its block back: the same bytes again."""
        undone = await self._store.set_state(
            intent.id, IntentState.PENDING, at=self._clock.now(), reason=intent.abandoned_because
        )
        log.warning("transaction.undone", extra={"purpose": intent.purpose, "nonce": intent.nonce})
        self.offered(undone, await self._offers.send(undone))

    async def _lost(self, intent: Intent, sight: Sight) -> str:
        """Another transaction has its nonce: take the next, or give up where it would revert."""
        looks = self._looks_lost[intent.id] = self._looks_lost.get(intent.id, 0) + 1
        if looks < _LOOKS_BEFORE_LOST:
            return f"nonce {intent.nonce} is used and its receipt is not to be seen"
        if self._policy.confirmations:
            deep = await self._offers.mined_nonce(sight.block - self._policy.confirmations)
            if deep <= intent.nonce:
                return f"another transaction of this key has nonce {intent.nonce}; that is not final yet"
        del self._looks_lost[intent.id]
        if intent.attempts[-1].cancels or intent.call.to == self._address:
            await self._abandon(intent, intent.abandoned_because or "its nonce was used by another transaction")
            return ""
        try:
            async with self._sending:
                self._check_key()
                moved, answer = await self._offers.move(intent)
                self.offered(moved, answer)
        except Reverted as error:
            await self._abandon(intent, error.reason)
        except FeeTooHigh as error:
            return f"its nonce went to another transaction of this key, and {_too_dear(error)}"
        return ""

    async def _abandon(self, intent: Intent, reason: str) -> None:
        await self._store.set_state(intent.id, IntentState.ABANDONED, at=self._clock.now(), reason=reason)
        log.warning("transaction.abandoned", extra={"purpose": intent.purpose, "reason": reason})
        self._wake(intent.id)

    async def _replace(self, intent: Intent, sight: Sight) -> str:
        try:
            replaced, answer = await self._offers.replace(intent, is_first=intent.id == self._first)
        except FeeTooHigh as error:
            last = intent.attempts[-1]
            if sight.base_fee > last.max_fee:
                return (
                    f"gas costs {sight.base_fee} wei, above the {last.max_fee} that was offered, and no more than "
                    f"{error.limit} may be paid; it is mined when the price falls"
                )
            if sight.known.get(last.tx_hash) is False:
                self.offered(intent, await self._offers.send(intent), again=True)
            return f"no block takes it for {last.max_fee} wei a gas, and no more than {error.limit} may be paid"
        self.offered(replaced, answer)
        return ""

    async def _fill(self, intent: Intent, nonce: int) -> str:
        try:
            async with self._sending:
                self._check_key()
                filling, answer = await self._offers.fill(nonce)
                self.offered(filling, answer)
        except FeeTooHigh as error:
            return f"nonce {nonce} before it is used by nobody, and {_too_dear(error)}"
        self._offered_at[intent.id] = self._clock.monotonic()
        return f"nonce {nonce} before it was used by nobody; it is being filled"


def _cancels(intent: Intent, outcome: TransactionOutcome) -> bool:
    return any(attempt.cancels and attempt.tx_hash == outcome.tx_hash for attempt in intent.attempts)


def _too_dear(error: FeeTooHigh) -> str:
    return f"gas costs {error.gas_price} wei, above the limit of {error.limit}"
