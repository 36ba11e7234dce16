"""One signer's transactions: recorded before they are sent, followed until the chain has settled them.

An intent is written durably before its first byte leaves this host, so that after a kill at any point the next start
finds it and asks the chain what became of it. Each intent holds one nonce; a stuck one is replaced at the same nonce
with higher fees; one whose nonce went to another transaction of the same key is simulated again and takes the next
nonce. At most one live intent exists for a purpose: sending the same purpose again joins it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livefleet.chain.account import Signer
from livefleet.chain.errors import FeeTooHigh, NodeError, OutOfFunds, Reverted
from livefleet.chain.fees import Fees, first_fees, replacement_fees
from livefleet.chain.intents import Attempt, Intent, IntentState, IntentStore
from livefleet.chain.models import Call, TransactionOutcome
from livefleet.chain.rpc import Rpc
from livefleet.chain.signature import checksum_address, keccak256
from livefleet.kernel import Address, Backoff, Clock, LivefleetError, SystemClock, Terminal, Transient, Wei, run_duty

__all__ = ["TransactionPolicy", "Transactions"]

log = logging.getLogger(__name__)

_LOOKS_BEFORE_LOST = 3  # a receipt may lag behind the nonce on a load-balanced endpoint


@dataclass(frozen=True, slots=True)
class TransactionPolicy:
    """How patiently transactions are followed and how far fees may go."""

    poll_s: float = 2.0  # between two looks at an unsettled intent
    replace_after_s: float = 300.0  # without a receipt, fees are raised
    max_replacements: int = 3
    fee_ceiling: Wei = Wei(0)  # wei per gas; 0: none. A call's own max_gas_price counts too
    gas_margin_percent: int = 125  # of the estimate, which Arbitrum's L1 part makes move


@dataclass(slots=True)
class _Followed:
    """A live intent in this process."""

    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    looks_without_receipt: int = 0  # in a row, while its nonce counts as used
    task: asyncio.Task[None] | None = None


class Transactions:
    """Sends for one signer. An async context manager: inside it, unsettled intents are followed to their end.

    One process at a time may hold a signer's `database`; the key itself may be used elsewhere, at the price of lost
    nonces that are recovered from.
    """

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        database: Path,
        *,
        chain_id: int,
        policy: TransactionPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._chain_id = chain_id
        self._policy = policy or TransactionPolicy()
        self._clock = clock or SystemClock()
        self._store = IntentStore(database, chain_id=chain_id, signer=signer.address)
        self._sending = asyncio.Lock()  # from choosing a nonce to the first broadcast
        self._group = asyncio.TaskGroup()
        self._followed: dict[int, _Followed] = {}

    @property
    def address(self) -> Address:
        """The signer's address."""
        return self._signer.address

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        await self._group.__aenter__()
        for intent in await self._store.pending():
            self._follow(intent)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for intent, followed in list(self._followed.items()):
            if followed.task is not None:
                followed.task.cancel()
            self._wake(intent, Transient("closed before the chain settled it; the next start looks again"))
        await self._group.__aexit__(None, None, None)
        await self._store.__aexit__(kind, error, trace)

    async def send(self, purpose: str, call: Call, *, max_gas_price: Wei = Wei(0)) -> TransactionOutcome:
        """Send `call` and wait until it is mined; joins the live intent of the same purpose where there is one.

        Cancelling the wait leaves the intent alive and followed. `succeeded` of the outcome is False when the mined
        transaction reverted. Raises Reverted when the simulation refuses or, later, when the intent lost its nonce and
        would revert now; FeeTooHigh, OutOfFunds and Transient while nothing was recorded or sent.
        """
        async with self._sending:
            intent = await self._live(purpose) or await self._begin(purpose, call, max_gas_price)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._follow(intent).waiters.append(waiter)
        await waiter
        return _answer(await self._store.get(intent.id))

    async def resume(self) -> tuple[Intent, ...]:
        """Look once at every intent that an earlier life left unsettled; what each has become.

        Those still pending were sent again as they were and stay followed.
        """
        before = await self._store.pending()
        for intent in before:
            await self._look(intent.id)
        return tuple([await self._store.get(intent.id) for intent in before])

    async def outcome(self, purpose: str) -> TransactionOutcome | None:
        """How the latest intent of a purpose ended: None while it is live or where there was none.

        Raises Reverted when it was abandoned.
        """
        intent = await self._store.latest(purpose)
        return None if intent is None or intent.state is IntentState.PENDING else _answer(intent)

    async def latest(self, purpose: str) -> Intent | None:
        """The latest intent of a purpose, whatever became of it."""
        return await self._store.latest(purpose)

    async def pending(self) -> tuple[Intent, ...]:
        """Every unsettled intent, in the order of nonces."""
        return tuple(await self._store.pending())

    async def _live(self, purpose: str) -> Intent | None:
        latest = await self._store.latest(purpose)
        return latest if latest is not None and latest.state is IntentState.PENDING else None

    async def _begin(self, purpose: str, call: Call, max_gas_price: Wei) -> Intent:
        await self._rpc.simulate(call, self.address)
        gas = await self._rpc.estimate_gas(call, self.address) * self._policy.gas_margin_percent // 100
        base_fee, tip, balance, nonce = await self._market()
        ceiling = self._ceiling(max_gas_price)
        fees = first_fees(base_fee=base_fee, tip=tip, ceiling=ceiling)
        if fees is None:
            raise FeeTooHigh(gas_price=base_fee + tip, limit=ceiling)
        if balance < gas * fees.max_fee + call.value:
            raise OutOfFunds(
                f"{self.address} holds {balance} wei; {purpose} may take {gas * fees.max_fee + call.value}",
                retry_after_s=60.0,
            )
        used = [intent.nonce for intent in await self._store.pending()]
        attempt = await self._sign(call, nonce=max([nonce, *(n + 1 for n in used)]), gas=gas, fees=fees)
        intent = await self._store.record(purpose, call, max_gas_price, attempt, created_at=self._clock.now())
        log.info("transaction.recorded", extra=_facts(intent, attempt))
        await self._broadcast(intent, attempt)
        return intent

    async def _sign(self, call: Call, *, nonce: int, gas: int, fees: Fees) -> Attempt:
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
        )

    async def _broadcast(self, intent: Intent, attempt: Attempt) -> None:
        """Offer an attempt to the node. What it says is logged and not believed: the next look asks the chain."""
        try:
            await self._rpc.request("eth_sendRawTransaction", "0x" + attempt.raw.hex())
        except (Transient, Reverted) as error:
            log.warning("transaction.not_taken", extra=_facts(intent, attempt) | {"error": str(error)})
        else:
            log.info("transaction.sent", extra=_facts(intent, attempt))

    def _follow(self, intent: Intent) -> _Followed:
        if intent.id in self._followed:
            return self._followed[intent.id]
        followed = self._followed[intent.id] = _Followed()

        def on_failure(error: BaseException) -> None:
            if isinstance(error, Terminal):
                self._wake(intent.id, error)

        async def follow() -> None:
            while not await self._look(intent.id):  # noqa: ASYNC110 -- polls the chain, which signals nothing
                await asyncio.sleep(self._policy.poll_s)

        async def supervised() -> None:
            waits = Backoff(first_s=self._policy.poll_s)
            try:
                await run_duty(f"transaction {intent.purpose}", follow, on_failure=on_failure, backoff=waits)
            finally:
                self._followed.pop(intent.id, None)

        followed.task = self._group.create_task(supervised())
        return followed

    async def _look(self, intent_id: int) -> bool:
        """Ask the chain what became of an intent and do the next thing; whether it is settled."""
        followed = self._followed.get(intent_id) or _Followed()
        async with followed.looking:
            intent = await self._store.get(intent_id)
            settled = intent.state is not IntentState.PENDING or await self._look_at(intent, followed)
        if settled:
            self._wake(intent_id)
        return settled

    async def _look_at(self, intent: Intent, followed: _Followed) -> bool:
        last = intent.attempts[-1]
        *receipts, mined_nonce, known = await self._rpc.batch(
            [
                *(("eth_getTransactionReceipt", ("0x" + attempt.tx_hash.hex(),)) for attempt in intent.attempts),
                ("eth_getTransactionCount", (self.address, "latest")),
                ("eth_getTransactionByHash", ("0x" + last.tx_hash.hex(),)),
            ]
        )
        for receipt in receipts:
            if receipt is not None:
                await self._settle(intent, _outcome(receipt))
                return True
        if int(mined_nonce, 16) > intent.nonce:
            followed.looks_without_receipt += 1
            if followed.looks_without_receipt < _LOOKS_BEFORE_LOST:
                return False
            followed.looks_without_receipt = 0
            return await self._move_or_abandon(intent)
        followed.looks_without_receipt = 0
        if known is None:
            await self._broadcast(intent, last)
        if self._clock.now() - last.signed_at >= self._policy.replace_after_s:
            await self._replace(intent)
        return False

    async def _settle(self, intent: Intent, outcome: TransactionOutcome) -> None:
        await self._store.settle(intent.id, outcome)
        log.info(
            "transaction.mined",
            extra={
                "purpose": intent.purpose,
                "tx": "0x" + outcome.tx_hash.hex(),
                "succeeded": outcome.succeeded,
                "gas_used": outcome.gas_used,
                "block": outcome.block_number,
            },
        )

    async def _move_or_abandon(self, intent: Intent) -> bool:
        """Another transaction has its nonce: take the next, or give up where it would revert; whether it is settled."""
        async with self._sending:
            try:
                await self._rpc.simulate(intent.call, self.address)
            except Reverted as error:
                await self._store.abandon(intent.id, error.reason)
                log.warning("transaction.abandoned", extra={"purpose": intent.purpose, "reason": error.reason})
                return True
            base_fee, tip, _, nonce = await self._market()
            fees = first_fees(base_fee=base_fee, tip=tip, ceiling=self._ceiling(intent.max_gas_price))
            if fees is None:
                return False
            used = [other.nonce for other in await self._store.pending() if other.id != intent.id]
            attempt = await self._sign(
                intent.call, nonce=max([nonce, *(n + 1 for n in used)]), gas=intent.attempts[-1].gas, fees=fees
            )
            moved = await self._store.add_attempt(intent.id, attempt)
            log.warning("transaction.nonce_lost", extra=_facts(moved, attempt) | {"lost": intent.nonce})
            await self._broadcast(moved, attempt)
        return False

    async def _replace(self, intent: Intent) -> None:
        """Offer more for the same nonce, within the ceiling and the number of tries."""
        here = [attempt for attempt in intent.attempts if attempt.nonce == intent.nonce]
        last = here[-1]
        if len(here) > self._policy.max_replacements:
            return
        base_fee, tip, _, _ = await self._market()
        fees = replacement_fees(
            Fees(last.max_fee, last.tip), base_fee=base_fee, tip=tip, ceiling=self._ceiling(intent.max_gas_price)
        )
        if fees is None:
            return
        attempt = await self._sign(intent.call, nonce=intent.nonce, gas=last.gas, fees=fees)
        replaced = await self._store.add_attempt(intent.id, attempt)
        log.warning("transaction.replaced", extra=_facts(replaced, attempt))
        await self._broadcast(replaced, attempt)

    async def _market(self) -> tuple[Wei, Wei, int, int]:
        """Base fee, tip, the signer's balance and the next nonce that the node would take."""
        block, balance, nonce, price = await self._rpc.batch(
            [
                ("eth_getBlockByNumber", ("latest", False)),
                ("eth_getBalance", (self.address, "latest")),
                ("eth_getTransactionCount", (self.address, "pending")),
                ("eth_gasPrice", ()),
            ]
        )
        base_fee = int(block.get("baseFeePerGas") or "0x0", 16)
        return Wei(base_fee), Wei(await self._tip(base_fee, int(price, 16))), int(balance, 16), int(nonce, 16)

    async def _tip(self, base_fee: int, gas_price: int) -> int:
        try:
            return int(await self._rpc.request("eth_maxPriorityFeePerGas"), 16)
        except NodeError:
            return max(gas_price - base_fee, 0)

    def _ceiling(self, max_gas_price: Wei) -> Wei:
        limits = [limit for limit in (max_gas_price, self._policy.fee_ceiling) if limit]
        return min(limits, default=Wei(0))

    def _wake(self, intent: int, error: LivefleetError | None = None) -> None:
        followed = self._followed.get(intent)
        for waiter in followed.waiters if followed else ():
            if not waiter.done():
                waiter.set_exception(error) if error else waiter.set_result(None)


def _answer(intent: Intent) -> TransactionOutcome:
    if intent.abandoned_because is not None:
        raise Reverted(intent.abandoned_because)
    assert intent.outcome is not None
    return intent.outcome


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


def _facts(intent: Intent, attempt: Attempt) -> dict[str, Any]:
    return {"purpose": intent.purpose, "nonce": attempt.nonce, "tx": "0x" + attempt.tx_hash.hex()}
