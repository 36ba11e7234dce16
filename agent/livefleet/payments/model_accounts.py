"""What each model brings in and what it takes of the devices, kept over restarts.

The money itself is the ticket store's: this is for deciding which models are worth their memory.
"""

import asyncio
import logging
import math
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Self

from livefleet.kernel import Blocking, Clock
from livefleet.payments.device_time import DeviceTimes, DeviceUse, Work
from livefleet.payments.model_accounts_file import Model, ModelAccountsFile, ModelIncome, Rows

__all__ = ["MODEL_ACCOUNTS_FILE", "OTHER_MODELS", "WORKERS", "ModelAccount", "ModelAccounts"]

log = logging.getLogger(__name__)

MODEL_ACCOUNTS_FILE: Final = "ai-model-accounts.sqlite"

WORKERS: Final = "workers"
"""The device of jobs that joined workers do."""

OTHER_MODELS: Final = "(other)"
"""The model id of what is beyond the limit."""

_LIMIT = 500  # models told apart; workers name theirs themselves
_EVERY_S = 5.0
_GATHER_S = 0.1  # a commit for each of many short jobs would take the interpreter from the next one
_KEPT = 256
_LOOK_S = 1.0  # power changes from one moment to the next
_MOST_BITS = 256  # of a sum's denominator: prices in dollars would make it grow without end
_REST = 1 << 64  # then parts of a wei are rounded down to this


@dataclass(frozen=True, slots=True)
class ModelAccount:
    """One model of a pipeline since the accounts were begun."""

    pipeline: str
    model_id: str
    income: ModelIncome | None  # None: it is not charged here, as on a worker
    devices: Mapping[str, DeviceUse]
    workers_s: tuple[float, float] | None = None  # median and 95th percentile of the last 256 jobs that workers did

    @property
    def device_s(self) -> float:
        """On all devices."""
        return sum(use.seconds for use in self.devices.values())

    @property
    def wei_per_device_s(self) -> int | None:
        """What a second of a device brought in, rounded down; None where nothing is charged here or nothing worked."""
        if self.income is None or not self.device_s:
            return None
        return math.floor(self.income.charged / Fraction(self.device_s))


class ModelAccounts:
    """The book. An async context manager: leaving writes what is not written yet. One event loop's property.

    Memory is the authority and the file follows: charges within a tenth of a second, times within `every_s`. A file
    that cannot be read is set aside, and one that cannot be written is tried again: no job waits for either. `power_of`
    gives a device's watts; None where nobody measures them.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        power_of: Callable[[str], float | None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        every_s: float = _EVERY_S,
    ) -> None:
        self._path = path
        self._clock = clock
        self._every_s = every_s
        self._blocking = Blocking("model-accounts")
        self._stack = AsyncExitStack()
        self._file: ModelAccountsFile | None = None
        self._income: dict[Model, ModelIncome] = {}
        self._use: dict[Work, DeviceUse] = {}
        self._models: set[Model] = set()
        self._monotonic = monotonic
        self._at_workers: dict[Model, deque[float]] = {}  # how long jobs took that were answered
        self._wake = asyncio.Event()
        self._changed_income: set[Model] = set()
        self._changed_use: set[Work] = set()
        self._times = DeviceTimes(monotonic=monotonic, power_of=power_of, add=self._used)
        self.since = 0.0
        """Unix seconds when the book was begun."""
        self.fault = ""
        """Why the last write failed; empty when it did not."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._blocking)
            self._file = await self._blocking.run(self._open)
            stack.push_async_callback(self._blocking.run, self._file.close)
            self.since = self._file.since
            self._income, self._use = dict(self._file.found.income), dict(self._file.found.use)
            self._models = {*self._income, *((pipeline, model_id) for pipeline, model_id, _ in self._use)}
            stack.push_async_callback(self._write)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            keeping = group.create_task(self._keep(), name="model-accounts")
            stack.callback(self._times.look)
            stack.callback(keeping.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # An error of the block is its own, none of the group's.
        await self._stack.__aexit__(None, None, None)

    def charge(self, pipeline: str, model_id: str, *, units: int, fee: Fraction) -> None:
        """A job was done and charged; `fee` in wei."""
        model = self._known((pipeline, model_id))
        so_far = self._income.get(model, ModelIncome())
        self._income[model] = ModelIncome(so_far.jobs + 1, so_far.units + units, _sum(so_far.charged, fee))
        self._changed_income.add(model)
        self._wake.set()

    @contextmanager
    def busy(self, pipeline: str, model_id: str, device: str, *, is_here: bool) -> Iterator[None]:
        """A job works on a device while the block lasts; `is_here`: one of this machine."""
        model = self._known((pipeline, model_id))
        self._use.setdefault((*model, device), DeviceUse())
        started = self._monotonic()
        with self._times.busy((*model, device), is_here=is_here):
            yield
        if device == WORKERS:
            self._at_workers.setdefault(model, deque(maxlen=_KEPT)).append(self._monotonic() - started)

    def snapshot(self) -> tuple[ModelAccount, ...]:
        """Every model that has worked, by pipeline and id."""
        self._times.look()
        return tuple(
            ModelAccount(
                *model,
                self._income.get(model),
                {work[2]: use for work, use in self._use.items() if work[:2] == model},
                _quantiles(self._at_workers.get(model, ())),
            )
            for model in sorted(self._models)
        )

    def _known(self, model: Model) -> Model:
        if model not in self._models and len(self._models) >= _LIMIT:
            model = (model[0], OTHER_MODELS)
        self._models.add(model)
        return model

    def _used(self, work: Work, seconds: float, watts: float | None) -> None:
        self._use[work] = self._use.get(work, DeviceUse()).plus(seconds, watts)
        self._changed_use.add(work)

    def _open(self) -> ModelAccountsFile:
        now = self._clock.now()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return ModelAccountsFile(self._path, now=now)
        except (sqlite3.DatabaseError, ValueError, ZeroDivisionError) as error:
            aside = self._path.with_suffix(f".unreadable-{int(now)}")
            self._path.replace(aside)
            for ending in ("-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            log.warning("model_accounts.unreadable", extra={"kept_as": str(aside), "error": str(error)})
            return ModelAccountsFile(self._path, now=now)

    async def _keep(self) -> None:
        looks = 0
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                looks += 1
                self._times.look()
            if self._wake.is_set():
                await asyncio.sleep(_GATHER_S)
            if self._wake.is_set() or looks * _LOOK_S >= self._every_s:
                await self._write()
                looks = 0
            if self.fault:
                await asyncio.sleep(self._every_s)

    async def _write(self) -> None:
        self._wake.clear()
        income, use = self._changed_income, self._changed_use
        if not (income or use):
            return
        assert self._file is not None  # entered
        self._changed_income, self._changed_use = set(), set()
        rows = Rows({model: self._income[model] for model in income}, {work: self._use[work] for work in use})
        try:
            await self._blocking.run(self._file.write, rows)
        except BaseException as error:
            self._changed_income |= income
            self._changed_use |= use
            self._wake.set()
            if not isinstance(error, sqlite3.Error):
                raise
            if not self.fault:
                log.warning("model_accounts.not_written", extra={"path": str(self._path), "error": str(error)})
            self.fault = str(error)
        else:
            self.fault = ""


def _quantiles(seconds: Sequence[float]) -> tuple[float, float] | None:
    """Median and 95th percentile, by the nearest rank."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    half, most = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95))
    return half, most


def _sum(total: Fraction, fee: Fraction) -> Fraction:
    """Exact, until its denominator is out of hand."""
    exact = total + fee
    if exact.denominator.bit_length() <= _MOST_BITS:
        return exact
    return Fraction(math.floor(exact * _REST), _REST)
