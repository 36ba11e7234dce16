"""Acting on what a GPU's health comes to: one that is sick gets no work, until it is well or a person takes it back.

The rules are `livefleet.hardware`'s tables; who gives work to GPUs is behind `DeviceWork`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from livefleet.hardware import (
    GpuLook,
    GpuMemory,
    GpuSample,
    GpuState,
    GpuVerdict,
    HardwareSampler,
    HardwareSnapshot,
    XidEvent,
    cleared,
    judge,
)
from livefleet.kernel import BadInput, Clock, Condition, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.reconcile.resources.gpu_memory import (
    lasting,
    load_gpu_memories,
    put_gpu_memories_by,
    save_gpu_memories,
)
from livefleet.spec import GpuHealthSettings, GpuSelection
from livefleet.spec.gpu_clear import load_gpu_clearings

__all__ = ["GPU_HEALTHY", "DeviceWork", "GpuHealthObserved", "GpuHealthResource", "GpuStanding", "health_conditions"]

log = logging.getLogger(__name__)

GPU_HEALTHY: Final = "GpuHealthy"

_MOST_GPUS: Final = 64
_LOOK_EVERY_S: Final = 1.0


class DeviceWork(Protocol):
    """Whoever gives work to GPUs."""

    def set_aside(self, uuid: str, why: str, *, is_dead: bool = False) -> None:
        """Give it no more: what is open there moves to others. `is_dead`: it cannot stay there either.

        Saying it again changes nothing.
        """
        ...

    def take_back(self, uuid: str) -> None:
        """Give it work again."""
        ...


@dataclass(frozen=True, slots=True)
class GpuStanding:
    """How one GPU is, and how often it was set aside since the agent's start."""

    uuid: str
    verdict: GpuVerdict
    times_aside: int = 0
    cleared_at: float = 0.0  # unix seconds; when a person took it back last


@dataclass(frozen=True, slots=True)
class GpuHealthObserved:
    """What is known at one moment."""

    now: float
    boot: str
    snapshot: HardwareSnapshot
    declared: GpuSelection
    settings: GpuHealthSettings
    memories: Mapping[str, GpuMemory]
    events: Mapping[str, tuple[XidEvent, ...]] = field(default_factory=dict)
    settled: Mapping[str, float] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)  # why a GPU is the wrong card, for those that are
    clearings: Mapping[str, float] = field(default_factory=dict)
    aside: Mapping[str, str] = field(default_factory=dict)  # as the work was told last: UUID to state
    saved: Mapping[str, GpuMemory] | None = None  # what lasts of them, as the file in the state folder has it
    fault: str = ""  # why what an earlier run remembered is not known


@dataclass(frozen=True, slots=True)
class SetAside(Action):
    """Have a GPU get no work."""

    uuid: str
    why: str
    state: GpuState


@dataclass(frozen=True, slots=True)
class TakeBack(Action):
    """Have it get work again."""

    uuid: str


@dataclass(frozen=True, slots=True)
class Remember(Action):
    """Go on from here at the next look. `is_news`: it is to be found again after a restart, and not in the file yet."""

    memories: Mapping[str, GpuMemory]
    verdicts: Mapping[str, GpuVerdict]
    is_news: bool


class GpuHealthResource:
    """Keeps sick GPUs out of work."""

    name = "gpu-health"

    def __init__(
        self,
        sampler: HardwareSampler,
        declared: GpuSelection,
        settings: GpuHealthSettings,
        *,
        state: Path,
        work: DeviceWork,
        clock: Clock,
        boot: str,
        card_of: Callable[[GpuSample], str] = lambda _: "",
    ) -> None:
        """`boot`: the run of the kernel. `card_of`: why a GPU is not the card that is declared, empty where it is."""
        self._sampler = sampler
        self._declared = declared
        self._settings = settings
        self._state = state
        self._work = work
        self._clock = clock
        self._boot = boot
        self._card_of = card_of
        self._memories: Mapping[str, GpuMemory] | None = None
        self._forgotten = ""
        self._unsaved = ""
        self._saved: Mapping[str, GpuMemory] | None = None
        self._aside: dict[str, str] = {}
        self._times: dict[str, int] = {}
        self._verdicts: Mapping[str, GpuVerdict] = {}

    def judge_by(self, settings: GpuHealthSettings) -> None:
        """Go by these from the next look on."""
        self._settings = settings

    def recall(self) -> None:
        """Set those aside that an earlier run left without work: nothing is asked of NVML, which may hang."""
        self._memories = self._load()
        for uuid, memory in self._memories.items():
            if memory.latch is not None or (memory.aside_since is not None and memory.boot == self._boot):
                state = GpuState.DRAIN if memory.latch is None else GpuState.QUARANTINE
                self._work.set_aside(uuid, "it had no work before the agent started", is_dead=state.is_dead)
                self._aside[uuid] = state.value

    def standings(self) -> tuple[GpuStanding, ...]:
        """Every GPU as it was judged last."""
        memories = self._memories or {}
        return tuple(
            GpuStanding(uuid, verdict, self._times.get(uuid, 0), memories[uuid].cleared_at)
            for uuid, verdict in sorted(self._verdicts.items())
        )

    async def observe(self) -> GpuHealthObserved:
        """The latest sample, or a fresh one before the sampler's first; what was reported, and what people asked."""
        snapshot = self._sampler.latest or await self._sampler.sample()
        if self._memories is None:
            self.recall()
        memories = self._memories or {}
        faults, clearings = [self._forgotten, self._unsaved], {}
        try:
            clearings = load_gpu_clearings(self._state).at
        except BadInput as error:
            faults.append(str(error))
        xids = self._sampler.xids
        uuids = {*memories, *(gpu.uuid for gpu in snapshot.gpus if gpu.uuid)}
        return GpuHealthObserved(
            now=self._clock.now(),
            boot=self._boot,
            snapshot=snapshot,
            declared=self._declared,
            settings=self._settings,
            memories=memories,
            events={uuid: xids.since(0.0, uuid) for uuid in uuids},
            settled={uuid: xids.of(uuid).settled_at for uuid in uuids},
            cards={gpu.uuid: why for gpu in snapshot.gpus if gpu.name and (why := self._card_of(gpu))},
            clearings=clearings,
            aside=dict(self._aside),
            saved=self._saved,
            fault="; ".join(filter(None, faults)),
        )

    def plan(self, observed: GpuHealthObserved) -> Plan:
        """Pure."""
        judged = _judged(observed)
        verdicts = {uuid: verdict for uuid, (verdict, _) in judged.items()}
        memories = _kept({**observed.memories, **{uuid: memory for uuid, (_, memory) in judged.items()}}, observed)
        is_news = lasting(memories) != observed.saved
        remember = Remember("remember the GPUs' health", memories, verdicts, is_news=is_news)
        waits = [verdict.back_in_s for verdict in verdicts.values() if verdict.back_in_s is not None]
        return Plan(
            actions=(*_changes(verdicts, observed), remember),
            conditions=health_conditions(verdicts, observed.fault),
            again=Again(min([_LOOK_EVERY_S, *(max(wait, 0.05) for wait in waits)])),
        )

    async def apply(self, action: Action) -> None:
        """Tell the work, or remember."""
        match action:
            case SetAside():
                if action.uuid not in self._aside:
                    self._times[action.uuid] = self._times.get(action.uuid, 0) + 1
                self._work.set_aside(action.uuid, action.why, is_dead=action.state.is_dead)
                self._aside[action.uuid] = action.state.value
            case TakeBack():
                self._work.take_back(action.uuid)
                self._aside.pop(action.uuid, None)
            case Remember():
                self._memories, self._verdicts = action.memories, action.verdicts
                if action.is_news:
                    await self._save(action.memories)
            case _:
                raise AssertionError(action)

    async def _save(self, memories: Mapping[str, GpuMemory]) -> None:
        """A disk that takes nothing is no reason to stop acting; what was not saved is tried again at the next look."""
        try:
            await asyncio.to_thread(save_gpu_memories, self._state, memories)
        except BadInput as error:
            self._unsaved = str(error)
        else:
            self._saved, self._unsaved = lasting(memories), ""

    def _load(self) -> Mapping[str, GpuMemory]:
        try:
            memories = load_gpu_memories(self._state)
        except BadInput as error:
            log.warning("gpu_health.forgotten", extra={"error": str(error)})
            self._forgotten = f"{error}; GPUs that were quarantined are in service again"
            put_gpu_memories_by(self._state)
            memories = {}
        self._saved = lasting(memories)
        return memories


def _judged(observed: GpuHealthObserved) -> dict[str, tuple[GpuVerdict, GpuMemory]]:
    snapshot, declared = observed.snapshot, observed.declared
    if declared == "none":
        return {}
    known = {uuid for uuid, memory in observed.memories.items() if memory.boot == observed.boot}
    present = {gpu.uuid for gpu in snapshot.gpus if gpu.uuid}
    uuids = [uuid for uuid in sorted(known | present) if declared == "all" or uuid in declared]
    return {uuid: _judge(uuid, observed) for uuid in uuids[:_MOST_GPUS]}


def _judge(uuid: str, observed: GpuHealthObserved) -> tuple[GpuVerdict, GpuMemory]:
    memory = observed.memories.get(uuid, GpuMemory())
    if observed.clearings.get(uuid, 0.0) > memory.cleared_at:
        memory = cleared(memory, observed.clearings[uuid])
    look = GpuLook(
        now=observed.now,
        boot=observed.boot,
        sample=observed.snapshot.gpu(uuid),
        fault=observed.snapshot.fault,
        events=observed.events.get(uuid, ()),
        settled_at=observed.settled.get(uuid, 0.0),
        card=observed.cards.get(uuid, ""),
    )
    return judge(look, memory, observed.settings)


def _changes(verdicts: Mapping[str, GpuVerdict], observed: GpuHealthObserved) -> Iterable[Action]:
    for uuid, verdict in verdicts.items():
        if verdict.state.is_aside and observed.aside.get(uuid) != _as_told(verdict):
            yield SetAside(f"give {uuid} no work: {verdict.reason}", uuid, _why(verdict), verdict.state)
    for uuid in observed.aside:
        if uuid not in verdicts or not verdicts[uuid].state.is_aside:
            yield TakeBack(f"give {uuid} work again", uuid)


def _as_told(verdict: GpuVerdict) -> str:
    return verdict.state.value


def _why(verdict: GpuVerdict) -> str:
    return f"{verdict.reason}: {verdict.text}"


def _kept(memories: Mapping[str, GpuMemory], observed: GpuHealthObserved) -> dict[str, GpuMemory]:
    """Without GPUs that were taken out of the machine while it was off, but for what a person still has to say."""
    return {
        uuid: memory
        for uuid, memory in memories.items()
        if memory.boot == observed.boot or memory.latch is not None or memory.reports
    }


def health_conditions(verdicts: Mapping[str, GpuVerdict], fault: str = "") -> tuple[Condition, ...]:
    """One `GpuHealthy` a GPU, and one for each kind of thing that is wrong, while it is. Pure.

    A sick GPU keeps the node from being ready only where no other is left.
    """
    gates = all(verdict.state.is_aside for verdict in verdicts.values())
    found = [condition for uuid, verdict in verdicts.items() for condition in _conditions(uuid, verdict, gates=gates)]
    if fault:
        found.append(Condition("GpuHealthRemembered", Status.FALSE, "Unreadable", fault, gates_ready=False))
    return tuple(found)


def _conditions(uuid: str, verdict: GpuVerdict, *, gates: bool) -> Iterable[Condition]:
    status = Status.FALSE if verdict.state.is_aside else Status.TRUE
    yield Condition(GPU_HEALTHY, status, verdict.reason, verdict.text, uuid, gates_ready=gates, advice=verdict.advice)
    facets = {sign.facet: sign for sign in reversed(verdict.signs)}  # the worst of each is first, and so written last
    for facet, sign in facets.items():
        yield Condition(facet.value, Status.FALSE, sign.reason, sign.text, uuid, gates_ready=False, advice=sign.advice)
