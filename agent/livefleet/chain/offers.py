"""What one key offers to the chain: signed, recorded, then sent. Never over what an intent may cost."""

import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from livefleet.chain.account import Signer
from livefleet.chain.errors import FeeTooHigh, KeyBusy, NodeError, OutOfFunds, Reverted
from livefleet.chain.fees import Fees, first_fees, replacement_fees
from livefleet.chain.intents import Attempt, Intent, IntentState, IntentStore
from livefleet.chain.models import Call, SpendLimit
from livefleet.chain.rpc import Rpc, as_transaction
from livefleet.chain.signature import keccak256
from livefleet.kernel import Clock, Transient, Wei

__all__ = ["Answer", "Offers"]

log = logging.getLogger(__name__)

_NO_FUNDS = ("insufficient funds", "insufficient balance", "not enough funds")
_UNDERPRICED = ("underpriced", "transaction gas price below", "fee too low")


class Answer(Enum):
    """What a node said to an attempt; the chain alone decides what became of it."""

    TAKEN = auto()
    UNDERPRICED = auto()  # it knows another transaction with this nonce, which offers about as much
    NOT_TAKEN = auto()


@dataclass(frozen=True, slots=True)
class _Market:
    base_fee: Wei
    tip: Wei
    balance: int
    mined: int  # transactions of the key that are in blocks
    nonce: int  # the next that the node would take


class Offers:
    """Makes and records attempts. The caller sees to it that one task at a time chooses a nonce."""

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        store: IntentStore,
        *,
        chain_id: int,
        fee_ceiling: Wei,
        gas_margin_percent: int,
        clock: Clock,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._store = store
        self._chain_id = chain_id
        self._fee_ceiling = fee_ceiling
        self._gas_margin_percent = gas_margin_percent
        self._clock = clock
        self._tells_tip = True

    async def begin(
        self,
        purpose: str,
        call: Call,
        limit: SpendLimit,
        *,
        gas: int | None,
        replace_after_s: float | None,
        alone: bool,
    ) -> tuple[Intent, Answer]:
        """Record and send a new intent.

        The nonce is taken before the simulation: another process that uses this key for the same aim has either been
        mined by then, and the simulation refuses, or it leaves our nonce to one of the two. Raises Reverted where the
        simulation refuses, FeeTooHigh, OutOfFunds, IntentTaken, KeyBusy (`alone`, and the node's pool holds others of
        this key) and Transient: then nothing was recorded.
        """
        market = await self._market()
        ours = [intent for intent in await self._store.live() if intent.nonce >= market.mined]
        if alone and market.nonce - market.mined > len(ours):
            raise KeyBusy(f"{self._signer.address} has a transaction under way that this process did not send")
        gas = await self._gas(purpose, call, gas)
        fees = self._first_fees(market, limit, gas)
        if market.balance < gas * fees.max_fee + call.value:
            raise OutOfFunds(
                f"{self._signer.address} holds {market.balance} wei; {purpose} may take "
                f"{gas * fees.max_fee + call.value}; send it ETH",
                retry_after_s=60.0,
            )
        attempt = await self._sign(call, nonce=await self._next_nonce(market), gas=gas, fees=fees)
        intent = await self._store.record(
            purpose, call, limit, attempt, replace_after_s=replace_after_s, created_at=self._clock.now()
        )
        log.info("transaction.recorded", extra=_facts(intent, attempt))
        return intent, await self.send(intent)

    async def fill(self, nonce: int) -> tuple[Intent, Answer]:
        """Use up a nonce that nobody uses, so that those behind it can be mined. Raises as `begin`."""
        call = Call(to=self._signer.address, data=b"")
        gas = await self._gas(f"fill nonce {nonce}", call, None)
        fees = self._first_fees(await self._market(), SpendLimit(), gas)
        attempt = await self._sign(call, nonce=nonce, gas=gas, fees=fees)
        intent = await self._store.record(
            f"fill nonce {nonce}", call, SpendLimit(), attempt, replace_after_s=None, created_at=self._clock.now()
        )
        log.warning("transaction.nonce_filled", extra=_facts(intent, attempt))
        return intent, await self.send(intent)

    async def move(self, intent: Intent) -> tuple[Intent, Answer]:
        """Offer an intent whose nonce is gone at the next. Raises Reverted where it would revert now, FeeTooHigh."""
        await self._rpc.simulate(intent.call, self._signer.address)
        market, gas = await self._market(), self._own_gas(intent)
        fees = self._first_fees(market, intent.limit, gas)
        attempt = await self._sign(intent.call, nonce=await self._next_nonce(market, but=intent.id), gas=gas, fees=fees)
        moved = await self._store.add_attempt(intent.id, attempt)
        log.warning("transaction.nonce_lost", extra=_facts(moved, attempt) | {"lost": intent.nonce})
        return moved, await self.send(moved)

    async def replace(self, intent: Intent, *, is_first: bool) -> tuple[Intent, Answer]:
        """Offer more at the same nonce; a call that would revert by now gives way to one that does nothing.

        Whether it would is asked of the first in line only: those behind may build on it. Raises FeeTooHigh where a
        valid replacement would cost more than it may: the last offer stands.
        """
        market, last = await self._market(), intent.attempts[-1]
        reason = await self._moot(intent.call) if is_first and not last.cancels else None
        cancels = last.cancels or reason is not None
        nothing = Call(to=self._signer.address, data=b"")
        gas = await self._gas_again(intent, nothing if cancels else intent.call)
        ceiling = self._ceiling(intent.limit, gas)
        fees = replacement_fees(Fees(last.max_fee, last.tip), base_fee=market.base_fee, tip=market.tip, ceiling=ceiling)
        if fees is None:
            raise FeeTooHigh(gas_price=max(market.base_fee, last.max_fee), limit=ceiling or 0)
        attempt = await self._sign(
            nothing if cancels else intent.call, nonce=intent.nonce, gas=gas, fees=fees, cancels=cancels
        )
        if reason is not None:
            await self._store.set_state(intent.id, IntentState.PENDING, at=self._clock.now(), reason=reason)
        replaced = await self._store.add_attempt(intent.id, attempt)
        event = "transaction.cancelling" if cancels else "transaction.replaced"
        log.warning(event, extra=_facts(replaced, attempt) | ({"reason": reason} if reason is not None else {}))
        return replaced, await self.send(replaced)

    async def send(self, intent: Intent) -> Answer:
        """Hand the last attempt to the node. What it says is logged and not believed: the next look asks the chain."""
        attempt = intent.attempts[-1]
        try:
            await self._rpc.request("eth_sendRawTransaction", "0x" + attempt.raw.hex())
        except (Transient, Reverted) as error:
            log.warning("transaction.not_taken", extra=_facts(intent, attempt) | {"error": str(error)})
            text = str(error).lower()
            return Answer.UNDERPRICED if any(sign in text for sign in _UNDERPRICED) else Answer.NOT_TAKEN
        log.info("transaction.sent", extra=_facts(intent, attempt))
        return Answer.TAKEN

    async def mined_nonce(self, block: int) -> int:
        """Transactions of the key that were mined up to a block."""
        return int(await self._rpc.request("eth_getTransactionCount", self._signer.address, hex(max(block, 0))), 16)

    async def _gas(self, purpose: str, call: Call, gas: int | None) -> int:
        """Simulate, and say how much gas to give: `gas`, or the estimate with a margin."""
        transaction = as_transaction(call, self._signer.address)
        requests: list[tuple[str, tuple[Any, ...]]] = [("eth_call", (transaction, "latest"))]
        if gas is None:
            requests.append(("eth_estimateGas", (transaction, "latest")))
        try:
            answers = await self._rpc.batch(requests)
        except NodeError as error:
            if any(sign in str(error).lower() for sign in _NO_FUNDS):
                raise OutOfFunds(
                    f"{self._signer.address} cannot pay for {purpose}: {error}; send it ETH", retry_after_s=60.0
                ) from error
            raise
        return gas if gas is not None else int(answers[1], 16) * self._gas_margin_percent // 100

    async def _gas_again(self, intent: Intent, call: Call) -> int:
        """Gas for a replacement: more than before where the estimate grew, since Arbitrum's L1 part moves."""
        before = self._own_gas(intent) if call == intent.call else 0
        try:
            transaction = as_transaction(call, self._signer.address)
            estimate = int(await self._rpc.request("eth_estimateGas", transaction, "latest"), 16)
        except (Reverted, Transient):
            if not before:
                raise
            return before
        return max(before, estimate * self._gas_margin_percent // 100)

    def _own_gas(self, intent: Intent) -> int:
        return next(attempt.gas for attempt in reversed(intent.attempts) if not attempt.cancels)

    async def _moot(self, call: Call) -> str | None:
        """Why the call would revert if it were mined now; None where it would not, or where nobody can say."""
        try:
            await self._rpc.simulate(call, self._signer.address)
        except Reverted as error:
            return error.reason
        except Transient:
            return None
        return None

    async def _next_nonce(self, market: _Market, *, but: int | None = None) -> int:
        used = [intent.nonce for intent in await self._store.live() if intent.id != but]
        return max([market.nonce, *(nonce + 1 for nonce in used)])

    async def _market(self) -> _Market:
        address = self._signer.address
        block, balance, mined, nonce, price = await self._rpc.batch(
            [
                ("eth_getBlockByNumber", ("latest", False)),
                ("eth_getBalance", (address, "latest")),
                ("eth_getTransactionCount", (address, "latest")),
                ("eth_getTransactionCount", (address, "pending")),
                ("eth_gasPrice", ()),
            ]
        )
        base_fee = int(block.get("baseFeePerGas") or "0x0", 16)
        tip = await self._tip()
        if tip is None:
            tip = max(int(price, 16) - base_fee, 0)
        return _Market(Wei(base_fee), Wei(tip), int(balance, 16), int(mined, 16), int(nonce, 16))

    async def _tip(self) -> int | None:
        """The tip that the node suggests; None where it suggests none."""
        if not self._tells_tip:
            return None
        try:
            return int(await self._rpc.request("eth_maxPriorityFeePerGas"), 16)
        except NodeError:
            self._tells_tip = False
            return None

    def _first_fees(self, market: _Market, limit: SpendLimit, gas: int) -> Fees:
        ceiling = self._ceiling(limit, gas)
        fees = first_fees(base_fee=market.base_fee, tip=market.tip, ceiling=ceiling)
        if fees is None:
            raise FeeTooHigh(gas_price=market.base_fee, limit=ceiling or 0)
        return fees

    def _ceiling(self, limit: SpendLimit, gas: int) -> Wei | None:
        ceiling = limit.price_ceiling(gas)
        if not self._fee_ceiling:
            return ceiling
        return self._fee_ceiling if ceiling is None else min(ceiling, self._fee_ceiling)

    async def _sign(self, call: Call, *, nonce: int, gas: int, fees: Fees, cancels: bool = False) -> Attempt:
        raw = await self._signer.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": nonce,
                "to": call.to,
                "data": call.data,
                "value": int(call.value),
                "gas": gas,
                "maxFeePerGas": int(fees.max_fee),
                "maxPriorityFeePerGas": int(fees.tip),
            }
        )
        return Attempt(
            tx_hash=keccak256(raw),
            nonce=nonce,
            raw=raw,
            gas=gas,
            max_fee=fees.max_fee,
            tip=fees.tip,
            signed_at=self._clock.now(),
            cancels=cancels,
        )


def _facts(intent: Intent, attempt: Attempt) -> dict[str, Any]:
    return {"purpose": intent.purpose, "nonce": attempt.nonce, "tx": "0x" + attempt.tx_hash.hex()}
