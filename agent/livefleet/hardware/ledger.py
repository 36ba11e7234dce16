"""One book of each device's memory, which transcoding and models ask before they take any. Rules: `LEDGER.md`."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Protocol, Self

from livefleet.hardware.memory import DeviceMemory, MemoryReading
from livefleet.kernel import Refused

__all__ = ["SEEN_FREE_S", "Claim", "DeviceBook", "Holder", "Lease", "LeaseView", "NoMemory", "VramLedger"]

log = logging.getLogger(__name__)

SEEN_FREE_S = 10.0
"""How long the driver may take to let go of a dead process's memory before it counts as a stranger's."""

_LOOK_AGAIN_S = 0.1


class Claim(IntEnum):
    """What memory is wanted for, the weakest first."""

    COLD_MODEL = 0
    WARM_MODEL = 1
    TRANSCODING = 2


class NoMemory(Refused):
    """It does not fit, and what is idle would not make enough room. Nothing was changed."""

    def __init__(self, device: str, owner: str, wanted: int, free: int, why: str = "") -> None:
        super().__init__("insufficient capacity", status=503)
        self.device = device
        self.owner = owner
        self.wanted = wanted
        self.free = free
        self.why = why or f"{owner} needs {_mib(wanted)} on {device}, {_mib(max(0, free))} are free"

    def __str__(self) -> str:
        """For operators; `text` is for peers."""
        return self.why


class Holder(Protocol):
    """Whoever holds a lease and may be asked to give way."""

    def idle_since(self) -> float | None:
        """Seconds on some clock that all holders share; None while it works, loads or may not be disturbed."""
        ...

    def give_way(self, to: str) -> None:
        """End the process soon and release the lease when it is seen to be gone. Called at most once a lease."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease for operators' eyes."""

    owner: str
    claim: str
    priority: int
    booked: int  # bytes
    held: int | None  # bytes as read or reported; None: not known
    is_idle: bool
    is_leaving: bool


@dataclass(frozen=True, slots=True)
class DeviceBook:
    """A device's memory in bytes; None where the device does not tell."""

    device: str
    total: int | None
    headroom: int
    strangers: int | None
    free_to_models: int | None
    leases: tuple[LeaseView, ...]


class Lease:
    """Booked memory. Release it when the processes that held it are gone; as a context manager it does so itself."""

    def __init__(
        self, ledger: "VramLedger", device: str, owner: str, *, claim: Claim, priority: int, holder: Holder | None
    ) -> None:
        self.device = device
        self.owner = owner
        self.claim = claim
        self.priority = priority
        self.booked = 0
        self.is_leaving = False
        self.reported: int | None = None
        self.pids: set[int] = set()
        self.awaits: set[Lease] = set()
        """Leases that have to be gone before this one's memory is there."""

        self._ledger = ledger
        self._holder = holder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def idle_since(self) -> float | None:
        """As its holder says; None for one that cannot be asked to leave."""
        return None if self._holder is None or self.is_leaving else self._holder.idle_since()

    def grow(self, amount: int) -> None:
        """Book more. Raises NoMemory."""
        self._ledger.book(self, amount)

    def shrink(self, amount: int) -> None:
        """Book less."""
        self.booked = max(0, self.booked - amount)
        self._ledger.notify()

    def resize(self, booked: int) -> None:
        """Book what was found to be needed, even where that is too much: it is held already."""
        self.booked = booked
        self._ledger.notify()

    def held(self) -> int | None:
        """Bytes that its processes hold, as read or reported; None: not known."""
        return self._ledger.held(self)

    def report(self, held: int) -> None:
        """What the holder knows of its processes' memory, for devices that do not tell by process."""
        self.reported = held

    async def ready(self, within_s: float = SEEN_FREE_S) -> None:
        """Wait until the memory is there. Raises NoMemory after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while self.awaits:
                    await self._ledger.changed()
        except TimeoutError:
            names = ", ".join(sorted(lease.owner for lease in self.awaits))
            why = f"{self.owner} waits on {self.device} for the memory of {names}, not free within {within_s:g} s"
            raise NoMemory(self.device, self.owner, self.booked, 0, why) from None

    async def seen_free(self, within_s: float = SEEN_FREE_S) -> None:
        """Wait until none of its processes is seen to hold memory; call it when they have ended, then release."""
        await self._ledger.gone(self, within_s)

    def release(self) -> None:
        """Give it back. Twice is fine."""
        self._ledger.strike(self)

    def leave(self, to: str) -> None:
        """Ask the holder to give way; for the ledger."""
        assert self._holder is not None
        self.is_leaving = True
        log.info("memory.evicting", extra={"device": self.device, "owner": self.owner, "for": to})
        self._holder.give_way(to)


class VramLedger:
    """All devices' books. One event loop's property.

    `headroom`: bytes of a device that models never get.
    """

    def __init__(self, memory: DeviceMemory, *, headroom: Callable[[str], int] = lambda _: 0) -> None:
        self._memory = memory
        self._headroom = headroom
        self._leases: list[Lease] = []
        self._change = asyncio.Event()

    def lease(
        self,
        device: str,
        owner: str,
        amount: int,
        *,
        claim: Claim,
        priority: int = 0,
        holder: Holder | None = None,
    ) -> Lease:
        """Book `amount` bytes for `owner`, asking idle holders to give way where it takes that. Raises NoMemory."""
        lease = Lease(self, device, owner, claim=claim, priority=priority, holder=holder)
        self.book(lease, amount)
        self._leases.append(lease)
        return lease

    def could(self, device: str, owner: str, amount: int, *, claim: Claim, priority: int = 0) -> bool:
        """Whether `lease` would be granted now."""
        asks = Lease(self, device, owner, claim=claim, priority=priority, holder=None)
        return self._victims(asks, amount) is not None

    def free(self, device: str, claim: Claim = Claim.COLD_MODEL) -> int | None:
        """Bytes that are left to such a claim without anybody's leaving; negative when more is taken than there is."""
        return self._free(self._of(device), device, claim)

    def book_of(self, device: str) -> DeviceBook:
        """The device's book as it is now."""
        leases = self._of(device)
        reading = self._reading(device, leases)
        return DeviceBook(
            device=device,
            total=None if reading is None else reading.total,
            headroom=self._headroom(device),
            strangers=None if reading is None else _strangers(reading, leases),
            free_to_models=self._free(leases, device, Claim.COLD_MODEL),
            leases=tuple(
                LeaseView(
                    owner=lease.owner,
                    claim=lease.claim.name.lower(),
                    priority=lease.priority,
                    booked=lease.booked,
                    held=_held(reading, lease),
                    is_idle=lease.idle_since is not None,
                    is_leaving=lease.is_leaving,
                )
                for lease in leases
            ),
        )

    def held(self, lease: Lease) -> int | None:
        """See `Lease.held`."""
        return _held(self._reading(lease.device, [lease]), lease)

    async def look(self) -> None:
        """Read the devices anew, before something large is asked for."""
        await self._memory.look()

    async def changed(self) -> None:
        """Wait until memory was given back."""
        await self._change.wait()

    def notify(self) -> None:
        """Memory was given back."""
        self._change.set()
        self._change = asyncio.Event()

    def book(self, lease: Lease, amount: int) -> None:
        """Raise a lease's booking. Raises NoMemory; see `Lease.grow`."""
        victims = self._victims(lease, amount)
        if victims is None:
            free = self._free(self._of(lease.device), lease.device, lease.claim)
            raise NoMemory(lease.device, lease.owner, amount, free or 0)
        lease.booked += amount
        for victim in victims:
            victim.leave(lease.owner)
        lease.awaits.update(self._in_the_way(lease))

    def strike(self, lease: Lease) -> None:
        """Take a lease out of the book; see `Lease.release`."""
        if lease not in self._leases:
            return
        self._leases.remove(lease)
        for other in self._leases:
            other.awaits.discard(lease)
        self.notify()

    async def gone(self, lease: Lease, within_s: float) -> None:
        """See `Lease.seen_free`."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within_s
        while True:
            await self._memory.look()
            reading = self._memory.of(lease.device, lease.pids)
            if reading is None or not any(reading.by_process.values()):
                return
            if loop.time() > give_up:
                stuck = dict(reading.by_process)
                log.warning("memory.not_freed", extra={"device": lease.device, "owner": lease.owner, "held": stuck})
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _victims(self, lease: Lease, amount: int) -> list[Lease] | None:
        """Who has to leave for the lease to grow by `amount`; None where that would not be enough."""
        others = [other for other in self._of(lease.device) if other is not lease]
        reading = self._reading(lease.device, [*others, lease])
        if reading is None:
            return []
        before, after = _charge(reading, lease), max(lease.booked + amount, _held(reading, lease) or 0)

        def fits(gone: Collection[Lease]) -> bool:
            kept = [other for other in others if other not in gone]
            used = _used(reading, kept, lease.claim, self._headroom(lease.device), own=after)
            return used + _strangers(reading, [*others, lease]) <= reading.total

        # What is granted already, or costs nothing more, needs no room.
        if after <= before or fits(()):
            return []
        return _choose(sorted((o for o in others if _displaces(lease, o)), key=_worth), fits)

    def _in_the_way(self, lease: Lease) -> list[Lease]:
        """Who is still to leave, where what is booked is not there before."""
        leases = [*(other for other in self._of(lease.device) if other is not lease), lease]
        leaving = [other for other in leases if other.is_leaving]
        reading = self._reading(lease.device, leases) if leaving else None
        if reading is None:
            return leaving
        charges = sum(_charge(reading, other) for other in leases)
        return leaving if charges + _strangers(reading, leases) > reading.total else []

    def _free(self, leases: list[Lease], device: str, claim: Claim) -> int | None:
        reading = self._reading(device, leases)
        if reading is None:
            return None
        used = _used(reading, leases, claim, self._headroom(device), own=0)
        return reading.total - _strangers(reading, leases) - used

    def _of(self, device: str) -> list[Lease]:
        return [lease for lease in self._leases if lease.device == device]

    def _reading(self, device: str, leases: Iterable[Lease]) -> MemoryReading | None:
        return self._memory.of(device, {pid for lease in leases for pid in lease.pids})


def _choose(candidates: list[Lease], fits: Callable[[Collection[Lease]], bool]) -> list[Lease] | None:
    """The least worthy that make enough room, without those that turn out not to be needed."""
    chosen: list[Lease] = []
    for candidate in candidates:
        chosen.append(candidate)
        if fits(chosen):
            break
    else:
        return None
    for spared in reversed(chosen[:-1]):
        rest = [lease for lease in chosen if lease is not spared]
        if fits(rest):
            chosen = rest
    return chosen


def _displaces(lease: Lease, other: Lease) -> bool:
    if other.idle_since is None:
        return False
    if lease.claim is Claim.COLD_MODEL and other.claim is Claim.COLD_MODEL:
        return other.priority <= lease.priority
    return other.claim < lease.claim


def _worth(lease: Lease) -> tuple[int, int, float]:
    return lease.claim, lease.priority, lease.idle_since or 0.0


def _used(reading: MemoryReading, leases: Iterable[Lease], claim: Claim, headroom: int, *, own: int) -> int:
    """What counts against a claim: models never get at the headroom, transcoding does."""
    models = transcoding = 0
    for lease in leases:
        if lease.is_leaving:
            continue
        if lease.claim is Claim.TRANSCODING:
            transcoding += _charge(reading, lease)
        else:
            models += _charge(reading, lease)
    if claim is Claim.TRANSCODING:
        return models + transcoding + own
    return models + own + max(headroom, transcoding)


def _charge(reading: MemoryReading, lease: Lease) -> int:
    return max(lease.booked, _held(reading, lease) or 0)


def _held(reading: MemoryReading | None, lease: Lease) -> int | None:
    told = [] if reading is None else [reading.by_process[pid] for pid in lease.pids if pid in reading.by_process]
    return sum(told) if told else lease.reported


def _strangers(reading: MemoryReading, leases: Iterable[Lease]) -> int:
    return max(0, reading.used - sum(_held(reading, lease) or 0 for lease in leases))


def _mib(amount: int) -> str:
    return f"{amount / 2**20:.0f} MiB"
