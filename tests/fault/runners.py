"""Runner processes under load while they are killed, stopped and starved, and their requests are given up.

    .venv/bin/python -m tests.fault.runners [--faults 100] [--seed 1] [--models 2]

Real processes with tiny pipelines of random weights. Prints a table; the exit code is 1 if a request was left without
an answer, something leaked, another model's request failed, or a model did not come back.
"""

import argparse
import asyncio
import contextlib
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from livefleet.ai import AiPool, ModelSnapshot, NoCapacity, RunnerRefused
from livefleet.ai.pipelines.text_to_image import KIND
from livefleet.ai.settings import KEEP_CONNECTIONS_S
from livefleet.ai.watch import WatchLimits
from livefleet.hardware import CPU_MEMORY, HardwareSampler, MachineMemory, VramLedger
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.spec import Pipeline
from tests.builders.ai import a_job, a_placement

ANSWER_WITHIN_S = 120.0
BACK_WITHIN_S = 120.0
RETRACTED_WITHIN_S = 2.0
RSS_SLACK = 64 << 20  # of the agent's process, from the first fault to the last
RUNNER_SLACK = 300 << 20  # of all runners together: allocators keep what one large picture took

# A stopped process has to be noticed soon here; on a shared machine a loading one answers late.
LIMITS = WatchLimits(
    load_timeout_s=120, loading_every_s=0.1, health_every_s=0.5, health_timeout_s=5, stop_grace_s=5, cancel_grace_s=5
)


class Fault(StrEnum):
    KILL = "kill -9"
    HANG = "stopped"
    PAUSE = "stopped for 3 s"
    MEMORY = "out of memory"
    CANCEL = "given up"


WEIGHTS = {Fault.KILL: 25, Fault.HANG: 10, Fault.PAUSE: 15, Fault.MEMORY: 20, Fault.CANCEL: 30}
STOPS = {Fault.HANG, Fault.PAUSE}
PAUSE_S = 3.0


@dataclass
class Window:
    """A fault on one model, from its beginning until the model was well again."""

    model: str
    fault: Fault
    begun: float
    well_again: float = float("inf")
    retracted_s: float | None = None
    was_replaced: bool = False  # though it had only paused


@dataclass
class Request:
    model: str
    begun: float
    ended: float = 0.0
    answer: str = ""  # empty: a picture


@dataclass
class Outcome:
    windows: list[Window] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    refused: int = 0
    starved: list[str] = field(default_factory=list)  # what large requests were answered under a memory limit
    unanswered: int = 0
    leaks: list[str] = field(default_factory=list)
    not_back: list[str] = field(default_factory=list)
    models: tuple[ModelSnapshot, ...] = ()
    took_s: float = 0.0

    def strays(self) -> list[Request]:
        """Failures of requests that overlapped no fault of their own model."""
        return [
            r
            for r in self.requests
            if r.answer
            and not any(w.model == r.model and w.begun <= r.ended and r.begun <= w.well_again for w in self.windows)
        ]

    def verdict(self) -> list[str]:
        """What an operator would complain about."""
        told = [f"{self.unanswered} requests without an answer"] if self.unanswered else []
        told += [f"{r.model}: failed without a fault of its own: {r.answer}" for r in self.strays()]
        told += self.leaks + self.not_back
        told += [
            f"{w.model}: still advertised {w.retracted_s:.2f} s after {w.fault}"
            for w in self.windows
            if w.fault in {Fault.KILL, *STOPS} and (w.retracted_s is None or w.retracted_s > RETRACTED_WITHIN_S)
        ]
        told += [f"{w.model}: its process was not the same after {w.fault}" for w in self.windows if w.was_replaced]
        if not any(KIND.out_of_memory in text for text in self.starved) and self.starved:
            told.append(f"no request was told to be out of memory, but {self.starved[0]}")
        return told

    def table(self) -> str:
        """For people."""
        lines = [
            f"{'fault':<14} {'times':>5} {'well again, median s':>20} {'slowest s':>10} {'retracted, slowest s':>21}"
        ]
        for fault in Fault:
            of_kind = [w for w in self.windows if w.fault is fault]
            if not of_kind:
                continue
            back = [w.well_again - w.begun for w in of_kind]
            gone = [w.retracted_s for w in of_kind if w.retracted_s is not None]
            lines.append(
                f"{fault:<14} {len(of_kind):>5} {statistics.median(back):>20.2f} {max(back):>10.2f} "
                f"{(f'{max(gone):.3f}' if gone else '-'):>21}"
            )
        stops = sum(w.fault in STOPS for w in self.windows)
        lines.append(f"\nretracted for silence {sum(m.silences for m in self.models)} times, stopped {stops} times")
        done = sum(not r.answer for r in self.requests)
        lines += [
            "",
            (
                f"{len(self.windows)} faults in {self.took_s:.0f} s under {len(self.requests)} requests: "
                f"{done} pictures, {len(self.requests) - done} errors, {self.refused} refusals for want of capacity, "
                f"{self.unanswered} without an answer, {len(self.strays())} failed without a fault of their model"
            ),
            *(f"  {count:>4} x {text}" for text, count in Counter(r.answer for r in self.requests if r.answer).items()),
            "",
            f"{'model':<12} {'loads':>5} {'losses':>6} {'load s':>7} {'loaded MiB':>11} {'p50 s':>7} {'p95 s':>7}",
        ]
        for m in self.models:
            lines.append(
                f"{m.model_id:<12} {m.loads:>5} {m.losses:>6} {m.load_s or 0:>7.2f} "
                f"{(m.loaded_bytes or 0) >> 20:>11} {m.p50_s or 0:>7.3f} {m.p95_s or 0:>7.3f}"
            )
        return "\n".join(lines)


class Trouble:
    """One pool, its load and its faults."""

    def __init__(self, pool: AiPool, names: Sequence[str], ledger: VramLedger, rng: random.Random) -> None:
        self._pool = pool
        self._names = names
        self._ledger = ledger
        self._rng = rng
        self.outcome = Outcome()

    async def run(self, faults: Sequence[Fault]) -> Outcome:
        """The faults in turn on each model, all models at once, with two requests at a time on each."""
        started = time.monotonic()
        for name in self._names:
            await self._well(name)
        before = self._standing()
        async with asyncio.TaskGroup() as load:
            requests = [load.create_task(self._load(name)) for name in self._names for _ in range(2)]
            shares = [faults[n :: len(self._names)] for n in range(len(self._names))]
            async with asyncio.TaskGroup() as trouble:
                for name, share in zip(self._names, shares, strict=True):
                    trouble.create_task(self._faults(name, share))
            for request in requests:
                request.cancel()
        for name in self._names:
            await self._well(name)
        await self._compare(before)
        self.outcome.models = self._pool.snapshot().models
        self.outcome.took_s = time.monotonic() - started
        return self.outcome

    async def _faults(self, name: str, faults: Sequence[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(self._rng.uniform(0.1, 0.6))
            window = Window(name, fault, time.monotonic())
            self.outcome.windows.append(window)
            match fault:
                case Fault.KILL:
                    os.kill(self._pid(name), signal.SIGKILL)
                    window.retracted_s = await self._retracted(name, window.begun)
                case Fault.HANG:
                    os.kill(self._pid(name), signal.SIGSTOP)
                    window.retracted_s = await self._retracted(name, window.begun)
                case Fault.PAUSE:
                    await self._pause(name, window)
                case Fault.MEMORY:
                    await self._starve(name)
                case Fault.CANCEL:
                    await self._give_up(name)
            await self._well(name)
            window.well_again = time.monotonic()

    async def _pause(self, name: str, window: Window) -> None:
        """Stop it for too short a time to be killed."""
        pid = self._pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            window.retracted_s = await self._retracted(name, window.begun)
            await asyncio.sleep(window.begun + PAUSE_S - time.monotonic())
        finally:
            os.kill(pid, signal.SIGCONT)
        await self._well(name)
        window.was_replaced = self._pid(name) != pid

    async def _load(self, name: str) -> None:
        while True:
            request = Request(name, time.monotonic())
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._pool.run(a_job(model_id=name, num_inference_steps=4))
            except NoCapacity:
                self.outcome.refused += 1
                await asyncio.sleep(0.05)
                continue
            except RunnerRefused as error:
                request.answer = error.text
            except TimeoutError:
                self.outcome.unanswered += 1
                request.answer = "no answer"
            request.ended = time.monotonic()
            self.outcome.requests.append(request)
            await asyncio.sleep(self._rng.uniform(0.05, 0.4))

    async def _starve(self, name: str) -> None:
        """Large pictures, while the process may map hardly more memory than it has."""
        pid = self._pid(name)
        mapped = _pages(pid, 0) * resource.getpagesize()
        before = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (mapped + (40 << 20), before[1]))
        try:
            for _ in range(40):
                try:
                    async with asyncio.timeout(ANSWER_WITHIN_S):
                        await self._pool.run(a_job(model_id=name, num_inference_steps=1, height=1536, width=1536))
                    return  # an allocator had it left over from the last one
                except NoCapacity:
                    await asyncio.sleep(0.05)  # others hold the places
                except RunnerRefused as error:
                    self.outcome.starved.append(error.text)
                    return
                except TimeoutError:
                    self.outcome.unanswered += 1
                    return
        finally:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_AS, before)

    async def _give_up(self, name: str) -> None:
        """A long request whose client goes away."""
        long = a_job(model_id=name, num_inference_steps=100, height=1024, width=1024)
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            try:
                async with asyncio.timeout(self._rng.uniform(0.05, 0.5)):
                    await self._pool.run(long)
            except TimeoutError:
                return
            except (NoCapacity, RunnerRefused):
                await asyncio.sleep(0.05)

    async def _retracted(self, name: str, since: float) -> float | None:
        """Seconds until the model was offered no more."""
        while time.monotonic() < since + BACK_WITHIN_S:
            if name not in {m.model_id for m in self._pool.advertised()}:
                return time.monotonic() - since
            await asyncio.sleep(0.005)
        return None

    async def _well(self, name: str) -> None:
        """Wait until the model makes a picture."""
        give_up = time.monotonic() + BACK_WITHIN_S
        while time.monotonic() < give_up:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._pool.run(a_job(model_id=name))
                return
            except (NoCapacity, RunnerRefused, TimeoutError):
                await asyncio.sleep(0.05)
        self.outcome.not_back.append(f"{name} did not come back within {BACK_WITHIN_S:g} s")

    async def _compare(self, before: "Standing") -> None:
        """What is held more than before; connections that are kept for the next job get the time to close.

        Those are looked at once in that time, so one may stay for twice as long.
        """
        give_up = time.monotonic() + 2 * KEEP_CONNECTIONS_S + 10
        while (found := self._standing().beyond(before)) and time.monotonic() < give_up:
            await asyncio.sleep(0.2)
        self.outcome.leaks += found

    def _standing(self) -> "Standing":
        pids = [pid for of_model in self._pool.runner_pids().values() for pid in of_model]
        return Standing(
            rss=_resident(os.getpid()),
            runners_rss=sum(map(_resident, pids)),
            runners=len(_children()),
            descriptors=_descriptors(),
            tasks=len(asyncio.all_tasks()),
            in_use=sum(m.in_use for m in self._pool.snapshot().models),
            leases=len(self._ledger.book_of(CPU_MEMORY).leases),
        )

    def _pid(self, name: str) -> int:
        return self._pool.runner_pids()[name][0]


@dataclass(frozen=True)
class Standing:
    """What the agent holds at a quiet moment."""

    rss: int
    runners_rss: int
    runners: int
    descriptors: dict[str, str]  # number: what it leads to
    tasks: int
    in_use: int
    leases: int

    def beyond(self, before: "Standing") -> list[str]:
        """What there is too much of."""
        told = [
            f"{name}: {getattr(self, name)}, before {getattr(before, name)}"
            for name in ("runners", "tasks", "in_use", "leases")
            if getattr(self, name) != getattr(before, name)
        ]
        if len(self.descriptors) > len(before.descriptors) + 4:
            new = sorted(lead for number, lead in self.descriptors.items() if before.descriptors.get(number) != lead)
            told.append(f"descriptors: {len(self.descriptors)}, before {len(before.descriptors)}; new: {new}")
        if self.rss > before.rss + RSS_SLACK:
            told.append(f"the agent's memory: {self.rss >> 20} MiB, before {before.rss >> 20}")
        if self.runners_rss > before.runners_rss + RUNNER_SLACK:
            told.append(f"the runners' memory: {self.runners_rss >> 20} MiB, before {before.runners_rss >> 20}")
        return told


def _descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself, and what closes meanwhile
            found[entry.name] = str(entry.readlink())
    return found


def drawn(count: int, rng: random.Random) -> list[Fault]:
    """Faults by their weights."""
    return rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)


async def run(folder: Path, model: Path, faults: Sequence[Fault], *, models: int, rng: random.Random) -> Outcome:
    """All of it over pools in `folder`; one of the models is declared cold when there are three."""
    names = [f"tiny/{letter}" for letter in "abcdefgh"[:models]]
    placements = [
        a_placement(pipeline=Pipeline.TEXT_TO_IMAGE, model_id=name, source=str(model), warm=number < 2, capacity=3)
        for number, name in enumerate(names)
    ]
    clock = SystemClock()
    async with HardwareSampler(clock, every_s=60) as sampler:
        ledger = VramLedger(MachineMemory(sampler))
        async with AiPool(
            placements,
            run_dir=folder / "run",
            state_folder=folder,
            board=ConditionBoard(clock),
            rng=random.Random(rng.random()),
            request_timeout_s=60,
            cold_patience_s=BACK_WITHIN_S,
            limits=LIMITS,
            cpu_threads=1,
            ledger=ledger,
        ) as pool:
            outcome = await Trouble(pool, names, ledger, rng).run(faults)
        if left := _children():
            outcome.leaks.append(f"processes that outlived the pool: {left}")
        if ledger.book_of(CPU_MEMORY).leases:
            outcome.leaks.append("leases that outlived the pool")
    return outcome


def _resident(pid: int) -> int:
    try:
        return _pages(pid, 1) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _pages(pid: int, column: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[column])


def _children() -> list[int]:
    """Runner processes of ours that are not yet buried."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        for pid in (thread / "children").read_text().split():
            with contextlib.suppress(OSError):
                if b"livefleet.ai.runner" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.runners", description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--models", type=int, default=2, choices=range(1, 9))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        folder = Path(scratch)
        subprocess.run([sys.executable, "-m", "livefleet.ai.tiny", str(folder / "tiny")], check=True, timeout=240)
        outcome = asyncio.run(run(folder, folder / "tiny", drawn(asked.faults, rng), models=asked.models, rng=rng))
    print(outcome.table())
    for complaint in (complaints := outcome.verdict()):
        print(f"FAULT: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
