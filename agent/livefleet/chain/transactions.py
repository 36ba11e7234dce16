"""One signer's transactions: recorded before they are sent, followed until the chain has settled them.

An intent is written durably before its first byte leaves this host, so that after a kill at any point the next start,
or another process, finds it and asks the chain what became of it. One process at a time sends for a key: the holder of
its lease. At most one live intent exists for a purpose: sending the same purpose again joins it.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from livefleet.chain.account import Signer
from livefleet.chain.errors import KeyBusy, NotMinedYet, Reverted
from livefleet.chain.follower import Follower, TransactionPolicy, WaitingTransaction
from livefleet.chain.intents import Intent, IntentState, IntentStore
from livefleet.chain.intents_sqlite import SqliteIntents
from livefleet.chain.lease import HeldLease, Leases, SqliteLeases
from livefleet.chain.models import Call, SpendLimit, TransactionOutcome
from livefleet.chain.offers import Offers
from livefleet.chain.rpc import Rpc
from livefleet.kernel import (
    Address,
    Backoff,
    Clock,
    Condition,
    LivefleetError,
    Status,
    SystemClock,
    Transient,
    run_duty,
)

__all__ = ["TRANSACTIONS_MOVE", "TransactionPolicy", "Transactions", "WaitingTransaction", "new_holder"]

log = logging.getLogger(__name__)

TRANSACTIONS_MOVE = "TransactionsMove"
"""The condition that `report` hears."""

_FIRST_LOOK_S = 0.25  # an L2 block: most are mined by then
_STANDBY_LOOK_S = 1.0
_FAILED_LOOK_S = 2.0  # endpoints that do not answer rest by themselves
_NO_LIMIT = SpendLimit()


class Transactions:
    """Sends for one signer. An async context manager: inside it, unsettled intents are followed to their end.

    `store` is a SQLite file or an entered-by-us IntentStore; `leases` those that every process with this key sees,
    by default in the same file. Where another process holds the key this one stands by, and takes over when it ends.
    `report` hears whether transactions move, as the condition `TransactionsMove` of the key.
    """

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        store: Path | IntentStore,
        *,
        chain_id: int,
        leases: Leases | None = None,
        holder: str | None = None,
        policy: TransactionPolicy | None = None,
        report: Callable[[Condition], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._policy = policy or TransactionPolicy()
        self._report = report
        self._clock = clock or SystemClock()
        self._file_leases: SqliteLeases | None = None
        if leases is None:
            path = store if isinstance(store, Path) else None
            assert path is not None, "a store that is no file needs leases"
            leases = self._file_leases = SqliteLeases(path, clock=self._clock)
        self._store = (
            SqliteIntents(store, chain_id=chain_id, signer=signer.address) if isinstance(store, Path) else store
        )
        self._lease = HeldLease(
            leases,
            f"key {signer.address}",
            holder or new_holder(),
            ttl_s=self._policy.lease_s,
            clock=self._clock,
        )
        self._offers = Offers(
            rpc,
            signer,
            self._store,
            chain_id=chain_id,
            fee_ceiling=self._policy.fee_ceiling,
            gas_margin_percent=self._policy.gas_margin_percent,
            clock=self._clock,
        )
        self._sending = asyncio.Lock()  # from choosing a nonce to the first broadcast
        self._follower = Follower(
            rpc,
            signer.address,
            self._store,
            self._offers,
            sending=self._sending,
            check_key=self._check_key,
            wake=self._wake,
            policy=self._policy,
            clock=self._clock,
        )
        self._nudged = asyncio.Event()
        self._open = AsyncExitStack()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}
        self.standing_by: str | None = None
        """Why this process sends nothing for the key: another does, or the leases are away. None while it may."""
        self.last_error: str | None = None
        """Why the last look at the chain failed; None after one that worked."""

    @property
    def address(self) -> Address:
        """The signer's address."""
        return self._signer.address

    @property
    def waiting(self) -> tuple[WaitingTransaction, ...]:
        """What was not settled at the last look, by nonce, and why."""
        return self._follower.waiting

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._file_leases is not None:
                await stack.enter_async_context(self._file_leases)
            await stack.enter_async_context(self._store)
            await self._take_key()
            self._open = stack.pop_all()
        await self._group.__aenter__()
        for name, duty in (("lease", self._keep_key), ("transactions", self._follow)):
            waits = Backoff(first_s=self._policy.poll_s, cap_s=30.0)
            duty_name = f"{name} {self.address}"
            self._tasks.append(
                self._group.create_task(run_duty(duty_name, duty, on_failure=self._failed, backoff=waits))
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        self._wake_all(Transient("closed before the chain settled it; the next start looks again"))
        await self._group.__aexit__(None, None, None)
        try:
            await self._lease.release()
        except Transient as failed:
            log.warning("key.not_released", extra={"key": self.address, "error": str(failed)})
        await self._open.aclose()

    async def send(
        self,
        purpose: str,
        call: Call,
        *,
        limit: SpendLimit = _NO_LIMIT,
        gas: int | None = None,
        replace_after_s: float | None = None,
        alone: bool = False,
        wait_s: float | None = None,
    ) -> TransactionOutcome:
        """Send `call` and wait until it is in a block; joins the live intent of the same purpose where there is one.

        `gas` spares the estimate, `replace_after_s` says how soon fees are raised; both the limit and that are taken
        over by an intent that is joined. `alone`: not while somebody else has this key's transactions under way, where
        two agents with one key may have the same aim. The intent stays followed until its block is final, also when
        the wait is cancelled or ends after `wait_s` (NotMinedYet). `succeeded` of the outcome is False when the mined
        transaction reverted. Raises Reverted when the simulation refuses or, later, when the intent was given up since
        it would revert now; FeeTooHigh, OutOfFunds, KeyBusy (another process sends for this key) and Transient while
        nothing was recorded or sent.
        """
        try:
            async with self._sending:
                self._check_key()
                intent = await self._live(purpose)
                if intent is None:
                    intent, answer = await self._offers.begin(
                        purpose, call, limit, gas=gas, replace_after_s=replace_after_s, alone=alone
                    )
                    self._follower.offered(intent, answer)
                elif (intent.limit, intent.replace_after_s) != (limit, replace_after_s):
                    intent = await self._store.set_limit(intent.id, limit, replace_after_s)
                if intent.state is not IntentState.PENDING:
                    return _answer(intent)
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.setdefault(intent.id, []).append(waiter)
        finally:
            self._nudged.set()  # also when cancelled: it may have been recorded by then
        try:
            async with asyncio.timeout(wait_s):
                await waiter
        except TimeoutError as error:
            because = next((w.because for w in self.waiting if w.purpose == purpose), "")
            raise NotMinedYet(f"sent, and {because or 'no block has taken it yet'}") from error
        return _answer(await self._store.get(intent.id))

    async def allow(self, purpose: str, limit: SpendLimit) -> None:
        """Let the live intent of a purpose cost this from now on; does nothing where there is none."""
        async with self._sending:
            intent = await self._live(purpose)
            if intent is not None and intent.limit != limit:
                await self._store.set_limit(intent.id, limit, intent.replace_after_s)
                self._nudged.set()

    async def resume(self) -> tuple[Intent, ...]:
        """Look once, now, at every intent that is not settled; what each has become. Raises KeyBusy, Transient."""
        self._check_key()
        before = await self._store.live()
        await self._follower.look()
        return tuple([await self._store.get(intent.id) for intent in before])

    async def outcome(self, purpose: str) -> TransactionOutcome | None:
        """How the latest intent of a purpose ended: None while it is in no block or where there was none.

        Raises Reverted when it was abandoned.
        """
        intent = await self._store.latest(purpose)
        return None if intent is None or intent.state is IntentState.PENDING else _answer(intent)

    async def latest(self, purpose: str) -> Intent | None:
        """The latest intent of a purpose, whatever became of it."""
        return await self._store.latest(purpose)

    async def pending(self) -> tuple[Intent, ...]:
        """Every intent that is in no block yet, in the order of nonces."""
        return tuple(intent for intent in await self._store.live() if intent.state is IntentState.PENDING)

    async def live(self) -> tuple[Intent, ...]:
        """Every intent that is followed, in the order of nonces: in no block yet, or in one that may still go."""
        return tuple(await self._store.live())

    async def settled(self, after: int, limit: int = 100) -> tuple[Intent, ...]:
        """What was settled for good after place `after` in the order of settlement, `limit` at most.

        Mined ones, failed or not, and abandoned ones; `outcome` says what each has cost, None for those that cost
        nothing. The next call goes on from the last one's `settled`.
        """
        return tuple(await self._store.settled(after, limit))

    # The key

    def _check_key(self) -> None:
        if not self._lease.is_held:
            raise KeyBusy(self.standing_by or f"the lease of {self.address} has run out; nothing was sent")

    async def _take_key(self) -> None:
        """Take or renew the key's lease, and say why where another has it."""
        had = self._lease.is_held
        if await self._lease.take():
            if not had:
                log.info("key.held", extra={"key": self.address, "holder": self._lease.holder})
                self._nudged.set()
            self.standing_by = None
            if not had:
                self._tell()
            return
        other = await self._lease.other_holder()
        because = (
            f"another process ({other.holder if other else 'ended just now'}) sends for {self.address}; this one "
            "stands by and takes over when it ends; give each process a key of its own to have both send"
        )
        if because != self.standing_by:
            log.warning("key.standing_by", extra={"key": self.address, "because": because})
        self.standing_by = because
        self._follower.forget()
        self._wake_all(KeyBusy(because))
        self._tell()

    async def _keep_key(self) -> None:
        due_s = self._lease.renew_after_s
        wait_s = due_s if self._lease.is_held else min(_STANDBY_LOOK_S, due_s)
        while True:
            await asyncio.sleep(wait_s)
            try:
                await self._take_key()
                wait_s = due_s if self._lease.is_held else min(_STANDBY_LOOK_S, due_s)
            except Transient as error:
                log.warning("key.not_renewed", extra={"key": self.address, "error": str(error)})
                wait_s = min(_STANDBY_LOOK_S, due_s)
                if not self._lease.is_held:
                    self.standing_by = f"the lease of {self.address} cannot be renewed: {error}"
                    self._tell()

    # Following

    async def _follow(self) -> None:
        wait_s = 0.0
        while True:
            try:
                async with asyncio.timeout(wait_s or None):
                    await self._nudged.wait()
                wait_s = _FIRST_LOOK_S / 2
            except TimeoutError:
                pass
            self._nudged.clear()
            if not self._lease.is_held:
                wait_s = 0.0  # until the key is ours
                continue
            try:
                is_idle = await self._follower.look()
            except LivefleetError as error:  # also endpoints of another chain: what was recorded is not given up
                self._failed(error)
                wait_s = _FAILED_LOOK_S
                continue
            self.last_error = None
            self._tell()
            wait_s = 0.0 if is_idle else min(max(2 * wait_s, _FIRST_LOOK_S), self._policy.poll_s)

    def _tell(self) -> None:
        """Say whether what was recorded moves."""
        if self._report is None:
            return
        stuck = [waiting for waiting in self.waiting if waiting.because]
        if self.standing_by is not None:
            status, reason, text = Status.UNKNOWN, "StandingBy", self.standing_by
        elif stuck:
            more = f"; {len(stuck) - 1} more wait" if len(stuck) > 1 else ""
            status, reason, text = Status.FALSE, "Waiting", f"{stuck[0].purpose}: {stuck[0].because}{more}"
        else:
            status, reason, text = Status.TRUE, "NothingIsStuck", f"none is stuck, {len(self.waiting)} under way"
        self._report(Condition(TRANSACTIONS_MOVE, status, reason, text, subject=self.address, gates_ready=False))

    async def _live(self, purpose: str) -> Intent | None:
        latest = await self._store.latest(purpose)
        return latest if latest is not None and latest.is_live else None

    def _failed(self, error: BaseException) -> None:
        text = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"
        if self.last_error is None:
            log.warning("transactions.not_seen", extra={"key": self.address, "error": text})
        self.last_error = text

    def _wake(self, intent: int, error: LivefleetError | None = None) -> None:
        for waiter in self._waiters.pop(intent, ()):
            if not waiter.done():
                waiter.set_exception(error) if error else waiter.set_result(None)

    def _wake_all(self, error: LivefleetError) -> None:
        for intent in tuple(self._waiters):
            self._wake(intent, error)


def new_holder() -> str:
    """A name for this process among those that may want a lease: told to people, the same for nobody else."""
    return f"{socket.gethostname()} pid {os.getpid()} {secrets.token_hex(4)}"


def _answer(intent: Intent) -> TransactionOutcome:
    if intent.abandoned_because is not None:
        raise Reverted(intent.abandoned_because)
    assert intent.outcome is not None
    return intent.outcome
