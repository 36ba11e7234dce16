"""Which tickets are under way or kept back: memory of this life that a restart may lose without harm."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from livefleet.kernel import Clock
from livefleet.payments.decision import Moment, Wait, Why
from livefleet.payments.records import StoredTicket
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.spec import BatchMode

__all__ = ["RedemptionLine"]

_FIRST_RETRY_S = 30.0
_LAST_RETRY_S = 1800.0
_RETRIES_IN_TIME_LEFT = 8  # at least, were all of them as far apart as the next
_SLOW_S = 300.0  # a transaction should be mined by then


class RedemptionLine:
    """Transactions of this life, tickets that failed in one, and since when tickets have been due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._flying: set[bytes] = set()
        self._failures: dict[bytes, tuple[int, float]] = {}  # how often; monotonic, of the last
        self._unsent: dict[bytes, str] = {}  # why no transaction could be sent
        self._due_since: dict[bytes, float] = {}  # monotonic
        self._under_way_since: dict[bytes, float] = {}  # monotonic
        self._hurried: set[frozenset[bytes]] = set()
        self._settling: dict[bytes, bool] = {}  # of those in `_flying`: whether by its transaction, or before that
        self.tasks: set[asyncio.Task[None]] = set()
        """One for each transaction; for reading only."""

    @property
    def flying(self) -> frozenset[bytes]:
        """Hashes of tickets whose transaction this life waits for."""
        return frozenset(self._flying)

    @property
    def alone(self) -> frozenset[bytes]:
        """Hashes of tickets that failed before: they go into no batch."""
        return frozenset(self._failures)

    def begin(self, group: asyncio.TaskGroup, tickets: Iterable[StoredTicket], work: Coroutine[Any, Any, None]) -> None:
        """Start a transaction over these."""
        self._flying |= {stored.winner.ticket.hash for stored in tickets}
        task = group.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def end(self, tickets: Iterable[StoredTicket]) -> None:
        """Their transaction has ended, however it did."""
        hashes = {stored.winner.ticket.hash for stored in tickets}
        self._flying -= hashes
        for ticket_hash in hashes:
            self._settling.pop(ticket_hash, None)

    def may_settle(self, ticket: bytes, *, by_transaction: bool) -> bool:
        """Whether its end is written by its transaction, or while that goes on: the first that asks has the word."""
        return self._settling.setdefault(ticket, by_transaction) is by_transaction if ticket in self._flying else True

    async def empty(self) -> None:
        """Wait until no transaction is under way."""
        while self.tasks:
            await asyncio.wait(tuple(self.tasks))

    def cancel_all(self) -> None:
        """Wait for none any more."""
        for task in tuple(self.tasks):
            task.cancel()

    def fail(self, stored: StoredTicket) -> None:
        """It was mined and not redeemed though it should have been: each time is paid for, so the next is later."""
        times, _ = self._failures.get(stored.winner.ticket.hash, (0, 0.0))
        self._failures[stored.winner.ticket.hash] = times + 1, self._clock.monotonic()

    def not_sent(self, stored: StoredTicket, because: str) -> None:
        """Its transaction could not be sent: the next look tries again."""
        self._unsent[stored.winner.ticket.hash] = because

    def was_sent(self, tickets: Iterable[bytes]) -> None:
        """A transaction over these is recorded."""
        for ticket in tickets:
            self._unsent.pop(ticket, None)

    def why_unsent(self, ticket: bytes) -> str:
        """Why its last transaction could not be sent; empty where it was, or where there was none."""
        return self._unsent.get(ticket, "")

    def keep(self, pending: Iterable[bytes]) -> None:
        """Forget all but these."""
        kept = set(pending)
        self._failures = {ticket: found for ticket, found in self._failures.items() if ticket in kept}
        self._unsent = {ticket: because for ticket, because in self._unsent.items() if ticket in kept}
        self._due_since = {ticket: since for ticket, since in self._due_since.items() if ticket in kept}
        self._under_way_since = {ticket: since for ticket, since in self._under_way_since.items() if ticket in kept}
        self._hurried = {tickets for tickets in self._hurried if tickets & kept}

    def is_slow(self, ticket: bytes) -> bool:
        """Whether its transaction has been under way for long, as often as this was asked."""
        now = self._clock.monotonic()
        return now - self._under_way_since.setdefault(ticket, now) >= _SLOW_S

    def hurry(self, tickets: frozenset[bytes]) -> bool:
        """Whether the transaction over these was not hurried before; it counts as hurried now."""
        if tickets in self._hurried:
            return False
        self._hurried.add(tickets)
        return True

    def kept_back(
        self, due: Sequence[StoredTicket], idle: Sequence[StoredTicket], moment: Moment, policy: RedemptionPolicy
    ) -> Mapping[bytes, Wait]:
        """Which of those that are `due` wait all the same, and why. `idle`: all that are not under way."""
        now = self._clock.monotonic()
        found: dict[bytes, Wait] = {}
        patient: list[bytes] = []
        for stored in due:
            ticket_hash = stored.winner.ticket.hash
            self._due_since.setdefault(ticket_hash, now)
            times, last = self._failures.get(ticket_hash, (0, 0.0))
            left_s = moment.blocks_left(stored.winner) * policy.l1_block_s
            pause_s = min(_FIRST_RETRY_S * 2 ** (times - 1), _LAST_RETRY_S, left_s / _RETRIES_IN_TIME_LEFT)
            if times and now - last < pause_s:
                found[ticket_hash] = Wait(Why.FAILED, f"failed {times} time(s) when mined; tried again later")
            elif not moment.is_urgent(stored.winner, policy):
                patient.append(ticket_hash)
        if policy.batch is BatchMode.NEVER or not patient or len(patient) >= policy.max_batch:
            return found
        waited = now - min(self._due_since[ticket_hash] for ticket_hash in patient)
        if waited < policy.collect_s and _coming(due, idle, moment, policy):
            collecting = Wait(Why.COLLECTING, "others are about to be due, to go with it")
            found |= dict.fromkeys(patient, collecting)
        return found


def _coming(
    due: Sequence[StoredTicket], idle: Sequence[StoredTicket], moment: Moment, policy: RedemptionPolicy
) -> bool:
    """Whether the parameters of another ticket expire so soon that waiting for it is worth while."""
    here = {stored.winner.ticket.hash for stored in due}
    soon = moment.head.l1_block + policy.collect_blocks
    return any(
        stored.winner.ticket.hash not in here and moment.head.l1_block < stored.winner.expiration_block <= soon
        for stored in idle
    )
