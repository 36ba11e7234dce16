"""One look at the chain that all duties share: paced by what is awaited, batched, cached, and safe from forks.

A look costs one small request while nothing but time has passed, and one batch where contracts have to be read again
(`head_reader`). How often: `pace`. Who rides along: `riders`. What becomes of it when blocks are replaced: `ancestry`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from livefleet.chain.ancestry import Ancestry, Reorganisation, SeenBlock
from livefleet.chain.client import ChainClient
from livefleet.chain.head_reader import HeadReader
from livefleet.chain.last_look import LastLook
from livefleet.chain.models import ChainHead, SenderInfo
from livefleet.chain.pace import Pace
from livefleet.chain.riders import Riders
from livefleet.chain.rpc import EndpointHealth, Header
from livefleet.kernel import Address, Backoff, BlockNumber, Clock, LivefleetError, SystemClock, Transient, run_duty

__all__ = ["ChainWatcher"]

log = logging.getLogger(__name__)

_TEND_EVERY_S = 5.0  # how often it is asked whether endpoints want to be compared
_ADDRESSES_EVERY_S = 3600.0
_STUCK_BLOCKS, _STUCK_S = 20, 5.0  # without a block where so many were usual, other endpoints are asked too
_STUCK_L1_BLOCKS = 3  # and after the time of so many L1 blocks in any case
_STUCK_EVERY_S = 20.0
_ANCHOR_EVERY_S = 600.0  # how often the block of the last look is looked for again
_SETTLING_TRIES = 3

Callback = Callable[[ChainHead], None]


class ChainWatcher:
    """The shared view of the chain. An async context manager; inside it one loop looks.

    `recipient` is the orchestrator's address that senders' reserve shares are counted for. `poll_s`: between looks
    while nobody pays. `confirmations`: blocks that make a block safe. All
    methods belong to the event loop that entered it.
    """

    def __init__(
        self,
        client: ChainClient,
        *,
        recipient: Address,
        poll_s: float = 5.0,
        l1_block_s: float = 12.0,
        confirmations: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._pace = Pace(l1_block_s=l1_block_s, idle_s=poll_s)
        self._confirmations = confirmations
        self._riders = Riders(client, recipient, self._clock)
        self._reader = HeadReader(client, self._riders, self._clock)
        self._ancestry = Ancestry()
        self._header: Header | None = None
        self._head: ChainHead | None = None
        now = self._clock.monotonic()
        self._looked_at = self._l1_since = self._round_since = now
        self._anchored_at = self._addresses_at = now
        self._compared_at = now - _STUCK_EVERY_S
        self._listeners: list[Callback] = []
        self._round_listeners: list[Callback] = []
        self._waiting: list[asyncio.Future[ChainHead]] = []
        self._wishes: list[float] = []
        self._awaited: set[BlockNumber] = set()
        self._replan = asyncio.Event()
        self._looking = asyncio.Lock()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self.last_error: str | None = None
        """Why the last look failed; None after one that worked."""
        self.looks = 0
        """Looks that worked, since the start; for reading only."""
        self.reorganisations = 0
        """Times that blocks which were seen were replaced, since the start; for reading only."""
        self.last_reorganisation: Reorganisation | None = None
        """The last of them; for reading only."""

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        for name, duty in (("chain.watcher", self.run), ("chain.endpoints", self._tend)):
            backoff = Backoff(first_s=0.5, cap_s=10.0)
            self._tasks.append(self._group.create_task(run_duty(name, duty, on_failure=self._failed, backoff=backoff)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    async def run(self) -> None:
        """Look for ever. Raises what a look raises; whoever entered the watcher has it restarted."""
        while True:
            await self._look(thoroughly=False)
            await self._pause()

    @property
    def l1_block_s(self) -> float:
        """Seconds that an L1 block takes."""
        return self._pace.l1_block_s

    @property
    def endpoints(self) -> tuple[EndpointHealth, ...]:
        """What the chain is seen through."""
        return self._client.rpc.endpoints

    @property
    def safe_block(self) -> int:
        """The newest of the node's own (L2) blocks that no reorganisation is expected to replace. Raises Transient."""
        return max(0, self.head().block - self._confirmations)

    def head(self) -> ChainHead:
        """The chain as last seen. Raises Transient before the first look."""
        if self._head is None:
            raise Transient(f"the chain was not seen yet: {self.last_error or 'first look under way'}")
        return self._head

    def last_look(self) -> LastLook:
        """The last look and its age. Raises Transient before the first."""
        return LastLook(self.head(), self._clock.monotonic() - self._looked_at, self.l1_block_s)

    def present(self) -> ChainHead:
        """The chain to quote and take payments by: as last seen, reckoned on while looks fail.

        Raises Transient once the last look is too old to be safe (see `last_look`).
        """
        if self.last_error is None:
            return self.head()
        last = self.last_look()
        if not last.is_safe:
            raise Transient(f"the chain was last seen {last.age_s:.0f} s ago, too long for payments: {self.last_error}")
        return last.reckoned()

    async def sender_info(self, sender: Address) -> SenderInfo:
        """A sender's funds as of the last look.

        Raises Transient when they cannot be read, and for a sender that never had any while too many such ask.
        """
        was_active = self._riders.are_aboard
        info = await self._riders.sender_info(sender, self.head().block)
        if not was_active and self._riders.are_aboard:
            self._replan.set()
        return info

    async def is_active(self, address: Address) -> bool:
        """Whether an orchestrator is active in the current round, as of the last look.

        Raises Transient when it cannot be read, and for another than `recipient` while too many such are asked about.
        """
        return await self._riders.is_active(address, self.head().block)

    def know(self, senders: Iterable[Address]) -> None:
        """These have paid before: they are always asked about."""
        self._riders.know(senders)

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(head)` when the L1 block or the round moved, or blocks were replaced.

        It only means `look now`. Returns how to stop.
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def subscribe_rounds(self, callback: Callback) -> Callable[[], None]:
        """The same, when a round began or was initialised, or blocks were replaced."""
        self._round_listeners.append(callback)
        return lambda: self._round_listeners.remove(callback)

    async def wait_for_change(self) -> ChainHead:
        """Wait for the next L1 block or round and return the head then."""
        waiter: asyncio.Future[ChainHead] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting.remove(waiter)

    @contextmanager
    def quicken(self, *, every_s: float = 1.0) -> Iterator[None]:
        """Look at least that often while the block runs: something of ours is under way."""
        self._wishes.append(every_s)
        self._replan.set()
        try:
            yield
        finally:
            self._wishes.remove(every_s)

    def expect(self, l1_block: BlockNumber) -> None:
        """Look often when this L1 block is near: something can be done from it on."""
        if self._head is None or l1_block > self._head.l1_block:
            self._awaited.add(l1_block)
            self._replan.set()

    async def look(self) -> ChainHead:
        """Look once, now, and read everything. Raises Transient, NodeError."""
        return await self._look(thoroughly=True)

    async def _look(self, *, thoroughly: bool) -> ChainHead:
        async with self._looking:
            header, found = await self._settled(thoroughly=thoroughly)
            if found is not None:
                self._drop(found)
            head = await self._reader.read(header, thoroughly=thoroughly or found is not None)
            self._ancestry.add(header, self._clock.monotonic())
            self._header = header
            self._take(head, told_anyway=found is not None)
            return head

    async def _settled(self, *, thoroughly: bool) -> tuple[Header, Reorganisation | None]:
        """The newest block, and what it replaced. Endpoints that are alone with what they say are left out."""
        for _ in range(_SETTLING_TRIES):
            header, newest = await self._newest(), self._ancestry.newest
            if newest is not None and newest.hash == header.hash and self._is_stuck(newest):
                await self._compare_endpoints(newest.number)
                continue
            if newest is None or newest.hash == header.hash:
                return header, None
            if not self._ancestry.contradicts(header) and (
                not self._is_anchor_due(thoroughly) or await self._lowest_replaced([newest]) is None
            ):
                return header, None
            await self._compare_endpoints(min(newest.number, header.number))
            lowest = await self._lowest_replaced(self._ancestry.seen())
            if lowest is not None:
                kept = self._ancestry.below(lowest - 1)
                found = Reorganisation(kept.number if kept is not None else -1, newest.number)
                return await self._client.rpc.latest(), found
        raise Transient("the endpoints disagree about blocks that were seen; a later look may tell who is right")

    async def _newest(self) -> Header:
        """The newest block, and none below those seen unless the chain itself has changed."""
        newest, seen = self._ancestry.newest, self._header
        if newest is None or seen is None:
            return await self._client.rpc.latest()
        lag = self._client.rpc.lag_blocks
        header = await self._client.rpc.latest(at_least=newest.number - lag)
        if header.number >= newest.number or self._ancestry.contradicts(header):
            return header
        if header.number < newest.number - lag:
            raise Transient(f"every endpoint is behind: at block {header.number}, and {newest.number} was seen before")
        return seen  # nodes behind one name differ by as much

    def _is_anchor_due(self, thoroughly: bool) -> bool:
        now = self._clock.monotonic()
        if not thoroughly and now - self._anchored_at < _ANCHOR_EVERY_S:
            return False
        self._anchored_at = now
        return True

    async def _lowest_replaced(self, seen: Sequence[SeenBlock]) -> int | None:
        """The lowest of these blocks in whose place another one stands; None where there is none.

        A block that is not there proves nothing: who answers may be behind.
        """
        found = await self._client.rpc.headers([block.number for block in seen])
        pairs = zip(seen, found, strict=True)
        return min((b.number for b, header in pairs if header is not None and header.hash != b.hash), default=None)

    async def _compare_endpoints(self, number: int) -> None:
        self._compared_at = self._clock.monotonic()
        anchor = self._ancestry.below(number)
        if anchor is None:
            await self._client.rpc.survey()
        else:
            await self._client.rpc.survey(anchor.number, anchor.hash)

    def _drop(self, found: Reorganisation) -> None:
        self._ancestry.drop_above(found.kept)
        self._reader.forget()
        self.reorganisations += 1
        self.last_reorganisation = found
        log.warning("chain.reorganised", extra={"kept_block": found.kept, "dropped_block": found.dropped})

    def _take(self, head: ChainHead, *, told_anyway: bool) -> None:
        before, self._head = self._head, head
        self.last_error = None
        self.looks += 1
        now = self._looked_at = self._clock.monotonic()
        if before is None or before.l1_block != head.l1_block:
            self._l1_since = now
            self._awaited = {block for block in self._awaited if block > head.l1_block}
        round_moved = before is None or _round(before) != _round(head)
        if before is None or before.current_round != head.current_round:
            self._round_since = now
        if told_anyway or round_moved or before is None or before.l1_block != head.l1_block:
            self._tell(self._listeners, head)
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(head)
        if told_anyway or round_moved:
            self._tell(self._round_listeners, head)

    def _tell(self, listeners: list[Callback], head: ChainHead) -> None:
        for listener in list(listeners):
            listener(head)

    async def _pause(self) -> None:
        """Until the next look is due; wishes that come meanwhile count from the last look on."""
        looked_at = self._clock.monotonic()
        while True:
            self._replan.clear()
            now = self._clock.monotonic()
            wait_s = (
                looked_at
                - now
                + self._pace.next_look_s(
                    self.head(),
                    block_age_s=looked_at - self._l1_since,
                    round_age_s=looked_at - self._round_since,
                    is_active=self._riders.are_aboard,
                    wished_s=min(self._wishes, default=None),
                    awaited=self._awaited,
                )
            )
            if wait_s <= 0:
                return
            try:
                async with asyncio.timeout(wait_s):
                    await self._replan.wait()
            except TimeoutError:
                return

    async def _tend(self) -> None:
        """Compare the endpoints and look the contracts up again, now and then."""
        while True:
            await asyncio.sleep(_TEND_EVERY_S)
            rpc, newest = self._client.rpc, self._ancestry.newest
            if rpc.wants_survey:
                await self._compare_endpoints(newest.number - self._confirmations if newest is not None else -1)
            if self._clock.monotonic() - self._addresses_at > _ADDRESSES_EVERY_S:
                self._addresses_at = self._clock.monotonic()
                if await self._client.look_up_again():
                    self._reader.forget()

    def _is_stuck(self, newest: SeenBlock) -> bool:
        """Whether no block came for so long that the endpoint which says so may be at fault, and others are there."""
        if len(self._client.rpc.endpoints) < 2:
            return False
        now, per_s = self._clock.monotonic(), self._ancestry.blocks_per_s
        unusual_s = max(_STUCK_S, _STUCK_BLOCKS / per_s) if per_s else float("inf")
        quiet_s = now - newest.seen_at
        too_quiet = quiet_s > min(unusual_s, _STUCK_L1_BLOCKS * self.l1_block_s)
        return too_quiet and now - self._compared_at >= _STUCK_EVERY_S

    def _failed(self, error: BaseException) -> None:
        self.last_error = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"


def _round(head: ChainHead) -> tuple[int, int]:
    return head.current_round, head.last_initialized_round
