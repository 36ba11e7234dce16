"""One look at the chain that all duties share: polled, batched, cached.

A look costs one small request while the block stays the same and one batch when it moved. Senders with funds, and the
orchestrator, ride along in that batch when they were asked about lately, so that a payment does not wait for the node.
What strangers ask about is bounded, see `inquiries`.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import IS_ACTIVE_TRANSCODER, POOL_SIZE
from livefleet.chain.contracts.rounds_manager import (
    BLOCK_HASH_FOR_ROUND,
    BLOCK_NUM,
    CURRENT_ROUND,
    LAST_INITIALIZED_ROUND,
)
from livefleet.chain.inquiries import Inquiries
from livefleet.chain.models import ChainHead, SenderInfo
from livefleet.chain.rpc import Read
from livefleet.kernel import (
    Address,
    Backoff,
    BlockNumber,
    Clock,
    LivefleetError,
    Round,
    SystemClock,
    Transient,
    Wei,
    run_duty,
)

__all__ = ["ChainWatcher"]

T = TypeVar("T")

_RIDE_ALONG_S = 120.0  # how long after the last question a sender or orchestrator is still refreshed
_RIDE_ALONG_LIMIT = 40
_PAYING_LIMIT = 10_000


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T
    asked_at: float


class ChainWatcher:
    """The shared view of the chain. An async context manager; inside it one loop polls.

    `recipient` is the orchestrator's address that senders' reserve shares are counted for. All methods belong to the
    event loop that entered it.
    """

    def __init__(
        self, client: ChainClient, *, recipient: Address, poll_s: float = 5.0, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._recipient = recipient
        self._poll_s = poll_s
        self._clock = clock or SystemClock()
        self._head: ChainHead | None = None
        self._block = -1
        self._hashes_of = Round(0)
        self._senders: dict[Address, _Kept[SenderInfo]] = {}
        self._actives: dict[Address, _Kept[bool]] = {}
        self._paying: dict[Address, None] = {}  # senders that had funds, the latest last
        self._asked_senders: Inquiries[SenderInfo] = Inquiries("senders", self._clock)
        self._asked_actives: Inquiries[bool] = Inquiries("orchestrators", self._clock)
        self._listeners: list[Callable[[ChainHead], None]] = []
        self._waiting: list[asyncio.Future[ChainHead]] = []
        self._group = asyncio.TaskGroup()
        self._loop_task: asyncio.Task[None] | None = None
        self.last_error: str | None = None
        """Why the last look failed; None after one that worked."""

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._loop_task = self._group.create_task(
            run_duty("chain.watcher", self.run, on_failure=self._failed, backoff=Backoff(first_s=1.0, cap_s=30.0))
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop_task is not None:
            self._loop_task.cancel()
        await self._group.__aexit__(None, None, None)

    async def run(self) -> None:
        """Look for ever. Raises what a look raises; whoever entered the watcher has it restarted."""
        while True:
            await self.look()
            await asyncio.sleep(self._poll_s)

    def head(self) -> ChainHead:
        """The chain as last seen. Raises Transient before the first look."""
        if self._head is None:
            raise Transient(f"the chain was not seen yet: {self.last_error or 'first look under way'}")
        return self._head

    async def sender_info(self, sender: Address) -> SenderInfo:
        """A sender's funds as of the last look.

        Raises Transient when they cannot be read, and for a sender that never had any while too many such ask.
        """
        kept = self._senders.get(sender)
        if kept is None:

            async def read() -> SenderInfo:
                return await self._client.broker.sender_info(sender, self._recipient, block=self._block_seen())

            info = await self._asked_senders.ask(sender, read, known=sender in self._paying)
            if not _has_funds(info):
                return info
            self.know([sender])
            kept = self._senders.setdefault(sender, _Kept(info, 0.0))
        kept.asked_at = self._clock.monotonic()
        return kept.value

    async def is_active(self, address: Address) -> bool:
        """Whether an orchestrator is active in the current round, as of the last look.

        Raises Transient when it cannot be read, and for another than `recipient` while too many such are asked about.
        """
        kept = self._actives.get(address)
        if kept is None:

            async def read() -> bool:
                return await self._client.bonding.is_active(address, block=self._block_seen())

            ours = address == self._recipient
            active = await self._asked_actives.ask(address, read, known=ours)
            if not ours:
                return active
            kept = self._actives.setdefault(address, _Kept(active, 0.0))
        kept.asked_at = self._clock.monotonic()
        return kept.value

    def know(self, senders: Iterable[Address]) -> None:
        """These have paid before: they are always asked about."""
        for sender in senders:
            self._paying.pop(sender, None)
            self._paying[sender] = None
        while len(self._paying) > _PAYING_LIMIT:
            del self._paying[next(iter(self._paying))]

    def subscribe(self, callback: Callable[[ChainHead], None]) -> Callable[[], None]:
        """Call `callback(head)` when the L1 block or the round moved; it only means `look now`. Returns how to stop."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def wait_for_change(self) -> ChainHead:
        """Wait for the next L1 block or round and return the head then."""
        waiter: asyncio.Future[ChainHead] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting.remove(waiter)

    async def look(self) -> ChainHead:
        """Look once, now. Raises Transient, NodeError."""
        raw_block, raw_price = await self._client.rpc.batch([("eth_blockNumber", ()), ("eth_gasPrice", ())])
        block, price = int(raw_block, 16), Wei(int(raw_price, 16))
        head = await self._read_head(block, price)
        before, self._head, self._block = self._head, head, block
        self.last_error = None
        if before is None or _mark(before) != _mark(head):
            self._tell(head)
        return head

    async def _read_head(self, block: int, gas_price: Wei) -> ChainHead:
        if self._head is not None and block == self._block:
            before = self._head
            return ChainHead(
                l1_block=before.l1_block,
                current_round=before.current_round,
                last_initialized_round=before.last_initialized_round,
                round_block_hash=before.round_block_hash,
                previous_round_block_hash=before.previous_round_block_hash,
                pool_size=before.pool_size,
                gas_price=gas_price,
                seen_at=self._clock.now(),
            )
        rounds, bonding = self._client.rounds, self._client.bonding
        fixed = [
            rounds.read(BLOCK_NUM),
            rounds.read(CURRENT_ROUND),
            rounds.read(LAST_INITIALIZED_ROUND),
            bonding.read(POOL_SIZE),
        ]
        self._asked_senders.forget()
        self._asked_actives.forget()
        answers = await self._read_with_riders(fixed, block)
        (l1_block,), (current,), (initialized,), (pool_size,) = answers[:4]
        this_hash, previous_hash = answers[4:]
        if initialized != self._hashes_of:
            self._hashes_of = Round(initialized)
            this_hash, previous_hash = await self._client.rpc.read_all(self._hash_reads(), block=block)
        return ChainHead(
            l1_block=BlockNumber(l1_block),
            current_round=Round(current),
            last_initialized_round=Round(initialized),
            round_block_hash=this_hash[0],
            previous_round_block_hash=previous_hash[0],
            pool_size=pool_size,
            gas_price=gas_price,
            seen_at=self._clock.now(),
        )

    async def _read_with_riders(self, fixed: Sequence[Read], block: int) -> list[tuple[Any, ...]]:
        """Read `fixed` and the round's hashes; refresh on the way what was asked about lately."""
        senders, actives = self._lately(self._senders), self._lately(self._actives)
        core = [*fixed, *self._hash_reads()]
        broker, bonding = self._client.broker, self._client.bonding
        reads = [
            *core,
            *(bonding.read(IS_ACTIVE_TRANSCODER, address) for address, _ in actives),
            *(read for sender, _ in senders for read in broker.sender_info_reads(sender, self._recipient)),
        ]
        answers = await self._client.rpc.read_all(reads, block=block)
        own, rest = answers[: len(core)], answers[len(core) :]
        for _, active in actives:
            (active.value,), *rest = rest
        for _, sender_info in senders:
            funds, claimed, *rest = rest
            sender_info.value = broker.to_sender_info(funds, claimed)
        return own

    def _lately(self, kept: dict[Address, _Kept[T]]) -> list[tuple[Address, _Kept[T]]]:
        """Forget what nobody asks about any more; name what is refreshed, the most recently asked first."""
        oldest = self._clock.monotonic() - _RIDE_ALONG_S
        ranked = sorted(kept, key=lambda address: kept[address].asked_at, reverse=True)
        live = [address for address in ranked if kept[address].asked_at >= oldest][:_RIDE_ALONG_LIMIT]
        for address in set(ranked) - set(live):
            del kept[address]
        return [(address, kept[address]) for address in live]

    def _hash_reads(self) -> list[Read]:
        previous = max(self._hashes_of - 1, 0)
        rounds = self._client.rounds
        return [rounds.read(BLOCK_HASH_FOR_ROUND, number) for number in (self._hashes_of, previous)]

    def _block_seen(self) -> int:
        self.head()
        return self._block

    def _tell(self, head: ChainHead) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(head)
        for listener in list(self._listeners):
            listener(head)

    def _failed(self, error: BaseException) -> None:
        self.last_error = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"


def _has_funds(info: SenderInfo) -> bool:
    return info.deposit > 0 or info.reserve_remaining > 0


def _mark(head: ChainHead) -> tuple[int, int, int]:
    return head.l1_block, head.current_round, head.last_initialized_round
