"""GPUs with faults: sequences of random ones over the NVML stand-in, and conditions must end where the state says.

    .venv/bin/python -m tests.fault.hardware [--sequences 1000] [--seed 1]

Sampler, judgement and reconciliation are the agent's own, in this process, over the real binding. Each sequence plugs
in one to four devices, does some of what hardware and drivers do to them, then lets it end: all well, then some of them
lost. Prints a table; the exit code is 1 if a sequence did not end where its state says, and its seed is named.
"""

import argparse
import asyncio
import logging
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from livefleet.hardware import HardwareSampler, HardwareSnapshot, Nvml, read_snapshot
from livefleet.health import Collected, GpuCollector, exposition
from livefleet.kernel import ConditionBoard, Status
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import GpuHealthResource, GpuResource
from livefleet.spec import DriverSettings, GpuHealthSettings
from livefleet.spec.gpu_clear import GpuClearings, save_gpu_clearings
from tests.nvml import stub

MOST_GPUS = 4
WITHIN_S = 30.0  # to agree with the state, on a machine that does other things too
DEADLINE_S = 0.06  # of a call, so that what hangs is told soon
XIDS = (8, 13, 31, 43, 45, 48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 109, 119, 154, 999, 2**40)
FIELDS = (
    "temp", "power", "util", "util_mem", "enc", "dec", "mem_total", "mem_used", "reasons", "power_limit", "clock_sm",
    "clock_mem", "slowdown", "shutdown", "pcie_gen", "pcie_width", "replays", "persistence", "sessions", "recovery",
    "major", "fan", "energy",
)  # fmt: skip
CALLS = (
    "GetName", "GetUUID", "GetPciInfo", "GetMemoryInfo", "GetUtilizationRates", "GetTemperatureV", "GetPowerUsage",
    "GetFieldValues", "GetComputeRunningProcesses", "GetClockInfo", "GetMigMode", "GetEncoderStats", "RegisterEvents",
    "GetSupportedEventTypes", "GetHandleByIndex", "GetFanSpeed",
)  # fmt: skip
OF_NO_DEVICE = ("GetCount", "Init", "EventSetWait", "EventSetCreate", "GetDriverVersion")
NONSENSE = (-1, 255, 2**31, 2**32 - 1, 2**63 - 1, -(2**31), 4 * 10**15, 0)
CODES = (1, 2, 3, 4, 6, 7, 9, 10, 13, 15, 16, 17, 18, 19, 25, 28, 999, 12345)


class QuickClock:
    """Half an hour of the policy's time is less than a second of ours."""

    FACTOR = 5000

    def now(self) -> float:
        return 1.7e9 + time.monotonic() * self.FACTOR

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Work:
    """Who would give work to the devices."""

    aside: set[str] = field(default_factory=set)

    def set_aside(self, uuid: str, why: str, *, is_dead: bool = False) -> None:
        self.aside.add(uuid)

    def take_back(self, uuid: str) -> None:
        self.aside.discard(uuid)


@dataclass
class Figures:
    """Of all sequences."""

    sequences: int = 0
    deeds: Counter[str] = field(default_factory=Counter)
    samples: int = 0
    settled_s: list[float] = field(default_factory=list)
    most_threads: int = 0
    most_page: int = 0
    failed: list[str] = field(default_factory=list)


class Sick:
    """The hardware of one sequence, and what may happen to it."""

    def __init__(self, state: stub.NvmlState, dice: random.Random) -> None:
        self.state = state
        self.dice = dice
        self.uuids = [
            f"GPU-{dice.randrange(16**8):08x}-0000-0000-0000-{n:012d}" for n in range(dice.randint(1, MOST_GPUS))
        ]
        self.epoch = 1
        self.sound()

    def sound(self, lost: frozenset[str] = frozenset()) -> None:
        """All well, but those that are lost."""
        self.state.values = {"epoch": str(self.epoch)}
        for index, uuid in enumerate(self.uuids):
            self.state.plug(index, uuid, **({"error": 15} if uuid in lost else {}))
        self.state.write()

    def deeds(self) -> dict[str, Callable[[], None]]:
        """By name; some are rarer than others, as they take a deadline's time."""
        often = {
            "lost": lambda: self._put(error=15),
            "reset required": lambda: self._put(error=16),
            "error on all calls": lambda: self._put(error=self.dice.choice(CODES)),
            "error on one call": lambda: self._put(**{f"error.{self.dice.choice(CALLS)}": self.dice.choice(CODES)}),
            "well": self._well,
            "unplugged": self._unplug,
            "plugged": self._plug,
            "UUIDs swapped": self._swap,
            "UUID twice": lambda: self._put(uuid=self.dice.choice(self.uuids)),
            "UUID is nonsense": lambda: self._put(uuid=self.dice.choice(("", "  ", "\udcff\udcfe", "x" * 500))),
            "nonsense values": self._nonsense,
            "name of a megabyte": lambda: self._put(name="N" * 5000),
            "name that is no text": lambda: self._put(name="\udcff\udc80\x07"),
            "not supported": lambda: self.state.forget(self._one(), *self.dice.sample(FIELDS, 6)),
            "count is nonsense": lambda: self.state.set(count=self.dice.choice((0, 7, 2**31, 2**32 - 1))),
            "driver away": lambda: self._driver(init=self.dice.choice((9, 18, 999, 4))),
            "driver back": lambda: self.state.set(init=0, count=len(self.uuids)),
            "driver loaded anew": self._reload,
            "shutdown fails": lambda: self.state.set(shutdown=self.dice.choice((0, 1, 999))),
            "reports": self._report,
            "storm of reports": self._storm,
            "memory errors": lambda: self._put(ecc="5 1 9 2", remapped="1 1 1 0"),
            "no spare rows": lambda: self._put(remapped="3 9 0 1"),
            "hot": lambda: self._put(temp=99, reasons=0x68),
        }
        seldom = {
            "device hangs": lambda: self._put(hang_ms=600_000),
            "one call hangs": lambda: self._put(**{f"hang_ms.{self.dice.choice(CALLS)}": 600_000}),
            "driver hangs": lambda: self.state.set(**{f"hang_ms.{self.dice.choice(OF_NO_DEVICE)}": 600_000}),
            "all hang": lambda: self.state.set(hang_ms=600_000),
        }  # fmt: skip
        return seldom if self.dice.random() < 0.12 else often

    def _one(self) -> int:
        return self.dice.randrange(len(self.uuids))

    def _put(self, **fields: object) -> None:
        index = self._one()
        for key, value in fields.items():
            self.state.values[f"gpu{index}.{key}"] = str(value)
        self.state.write()

    def _well(self) -> None:
        index = self._one()
        self.state.values = {k: v for k, v in self.state.values.items() if not k.startswith(f"gpu{index}.")}
        self.state.gpu(index, self.uuids[index])

    def _unplug(self) -> None:
        self.state.unplug(len(self.uuids) - 1)

    def _plug(self) -> None:
        self.state.gpu(len(self.uuids) - 1, self.uuids[-1])

    def _swap(self) -> None:
        self.dice.shuffle(self.uuids)
        for index, uuid in enumerate(self.uuids):
            self.state.values[f"gpu{index}.uuid"] = uuid
        self.state.write()

    def _nonsense(self) -> None:
        self._put(**{name: self.dice.choice(NONSENSE) for name in self.dice.sample(FIELDS, 5)})

    def _driver(self, init: int) -> None:
        self.epoch += 1
        self.state.set(init=init, epoch=self.epoch)

    def _reload(self) -> None:
        self.epoch += 1
        self.state.set(epoch=self.epoch)

    def _report(self) -> None:
        for _ in range(self.dice.randint(1, 4)):
            self.state.event(self._one(), self.dice.choice(XIDS))

    def _storm(self) -> None:
        for _ in range(60):
            self.state.event(self._one(), self.dice.choice(XIDS))


class Node:
    """The agent's parts that look at hardware, for one sequence."""

    def __init__(self, folder: Path, figures: Figures) -> None:
        self.folder = folder
        self.figures = figures
        self.clock = QuickClock()
        self.board = ConditionBoard(self.clock)
        self.work = Work()
        self.sampler = HardwareSampler(
            self.clock, every_s=0.004, deadline_s=DEADLINE_S, details_every_s=0.0, event_wait_ms=10,
            nvml=Nvml(renew_amiss_s=0.0),
        )  # fmt: skip
        self.sampler.on_sample(self._check)
        self.registry = CollectorRegistry()
        self.registry.register(GpuCollector(self.sampler))
        health = GpuHealthResource(
            self.sampler, "all", GpuHealthSettings(hold_s=0, returns_before_quarantine=100),
            state=folder, work=self.work, clock=self.clock, boot="boot-1",
        )  # fmt: skip
        present = GpuResource(self.sampler, "all", DriverSettings(), every_s=0.01)
        self.loops = [ReconcileLoop(health, self.board), ReconcileLoop(present, self.board)]
        for loop in self.loops:
            self.sampler.on_sample(lambda _, loop=loop: loop.nudge())
            self.sampler.xids.on_event(lambda _, loop=loop: loop.nudge())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Whatever of it fails, fails this."""
        async with self.sampler, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each()) for each in (self.sampler.run, *(loop.run for loop in self.loops))]
            yield
            for task in running:
                task.cancel()

    async def samples(self, many: int) -> None:
        """Wait for so many more, or for as long as a hang may take."""
        wanted = self.figures.samples + many
        until = time.monotonic() + 2 * DEADLINE_S
        while self.figures.samples < wanted and time.monotonic() < until:
            await asyncio.sleep(0.002)

    def clear(self, uuids: list[str]) -> None:
        """A person takes all back."""
        save_gpu_clearings(self.folder, GpuClearings(at=dict.fromkeys(uuids, self.clock.now())))

    def page(self) -> int:
        """Bytes of a scrape."""
        return len(exposition(Collected(self.registry)))

    def differs(self, lost: frozenset[str], well: frozenset[str], truth: HardwareSnapshot) -> str:
        """What is not as the state says; empty when all is."""
        view = self.sampler.latest
        if view is None or view.fault != truth.fault or len(view.gpus) != len(truth.gpus):
            return f"seen {view}, there is {truth}"
        for seen, there in zip(view.gpus, truth.gpus, strict=True):
            kinds = [None if gpu.fault is None else gpu.fault.kind for gpu in (seen, there)]
            if kinds[0] is not kinds[1] or (there.fault is None and seen != there):
                return f"seen {seen}, there is {there}"
        told = {(c.name, c.subject): c.status for c in self.board.all() if c.name in ("GpuPresent", "GpuHealthy")}
        for name in ("GpuPresent", "GpuHealthy"):
            for uuid, status in (*((u, Status.TRUE) for u in well), *((u, Status.FALSE) for u in lost)):
                if told.get((name, uuid)) is not status:
                    return f"{name} of {uuid} is {told.get((name, uuid))}, not {status}: {self.board.all()}"
        if self.work.aside & (lost | well) != lost:
            return f"set aside: {self.work.aside}, lost: {lost}"
        return ""

    def _check(self, snapshot: HardwareSnapshot) -> None:
        """What holds of every snapshot, whatever the hardware does."""
        self.figures.samples += 1
        uuids = [gpu.uuid for gpu in snapshot.gpus if gpu.uuid]
        assert len(uuids) == len(set(uuids)), uuids
        assert len(snapshot.gpus) <= 64
        for gpu in snapshot.gpus:
            assert gpu.utilization is None or 0 <= gpu.utilization <= 100, gpu
            assert gpu.temperature_c is None or -40 <= gpu.temperature_c <= 200, gpu
            assert gpu.power_mw is None or 0 <= gpu.power_mw <= 5_000_000, gpu
            assert gpu.memory_total is None or gpu.memory_used is None or gpu.memory_used <= gpu.memory_total, gpu
            assert len(gpu.name) <= 96
            assert gpu.name.isprintable()


def nvml_threads() -> int:
    """Those that call NVML, or are stuck in it."""
    return sum(thread.name.startswith("nvml") for thread in threading.enumerate())


async def one_sequence(folder: Path, state: stub.NvmlState, seed: int, figures: Figures) -> None:
    """Raises AssertionError when it does not end where the state says."""
    dice = random.Random(seed)
    sick = Sick(state, dice)
    node = Node(folder, figures)
    others = nvml_threads()
    async with node.running():
        await node.samples(1)
        for _ in range(dice.randint(2, 8)):
            deeds = sick.deeds()
            name = dice.choice(list(deeds))
            deeds[name]()
            figures.deeds[name] += 1
            await node.samples(dice.randint(1, 2))
            figures.most_threads = max(figures.most_threads, nvml_threads() - others)
        figures.most_page = max(figures.most_page, node.page())
        everybody = frozenset(sick.uuids)
        for lost in (frozenset[str](), frozenset(dice.sample(sick.uuids, dice.randint(0, len(sick.uuids))))):
            sick.epoch += 1
            sick.sound(lost)
            began, why = time.monotonic(), "not looked yet"
            while why:
                assert time.monotonic() - began < WITHIN_S, why
                node.clear(sick.uuids)
                await node.samples(2)
                truth = await asyncio.to_thread(read_snapshot, 0.0)
                why = node.differs(lost, everybody - lost, truth)
            figures.settled_s.append(time.monotonic() - began)
    figures.sequences += 1


async def soak(sequences: int, seed: int, *, on_sequence: Callable[[Figures], None] = lambda _: None) -> Figures:
    """All of them, one after another. The stand-in is loaded into this process."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stub.load(stub.build(folder / "library"))
        for number in range(sequences):
            state = stub.NvmlState(folder / f"{number}.state")
            os.environ["LIVEFLEET_NVML_STATE"] = str(state.path)
            (folder / str(number)).mkdir()
            try:
                await one_sequence(folder / str(number), state, seed + number, figures)
            except (AssertionError, ExceptionGroup) as error:
                figures.failed.append(f"seed {seed + number}: {'; '.join(leaves(error))}")
            on_sequence(figures)
    return figures


def leaves(error: BaseException) -> Iterator[str]:
    """What went wrong, without the groups around it."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield f"{type(error).__name__}: {error}"[:500]


def table(figures: Figures, took_s: float, cpu_s: float) -> str:
    """For people."""
    settled = sorted(figures.settled_s) or [0.0]
    rows = [
        ("sequences that ended well", f"{figures.sequences}, {len(figures.failed)} did not"),
        ("deeds", f"{figures.deeds.total()} of {len(figures.deeds)} kinds"),
        ("samples", f"{figures.samples}"),
        (
            "conditions where the state says",
            f"median {statistics.median(settled) * 1000:.0f} ms, most {settled[-1] * 1000:.0f} ms",
        ),
        ("threads at once", f"at most {figures.most_threads} that call NVML"),
        ("largest page of metrics", f"{figures.most_page} B"),
        ("took", f"{took_s:.0f} s, {cpu_s:.0f} s of CPU"),
    ]
    told = [f"{name:<32} {text}" for name, text in rows]
    return "\n".join([*told, *(f"  {n:>5} x {name}" for name, n in sorted(figures.deeds.items())), *figures.failed])


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--sequences", type=int, default=1000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()

    def told(figures: Figures) -> None:
        if (figures.sequences + len(figures.failed)) % 50 == 0:
            print(f"{figures.sequences} sequences, {len(figures.failed)} failed", file=sys.stderr, flush=True)

    logging.getLogger("livefleet").setLevel(logging.CRITICAL)
    began, cpu = time.monotonic(), time.process_time()
    figures = asyncio.run(soak(given.sequences, given.seed, on_sequence=told))
    print(table(figures, time.monotonic() - began, time.process_time() - cpu))
    return int(bool(figures.failed))


if __name__ == "__main__":
    sys.exit(main())
