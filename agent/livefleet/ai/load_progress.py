"""How far loading a model is, for operators."""

from collections.abc import Callable
from dataclasses import dataclass

from livefleet.ai.residency import Need
from livefleet.ai.runner_line import LoadStep

__all__ = ["LoadProgress", "LoadSnapshot"]


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """A load under way."""

    step: str  # weights, memory, process, pipeline, proof
    step_s: float  # how long this step has been going on; of the process's own steps how long the process has
    elapsed_s: float  # since its process was started; 0 before
    expected_s: float  # what that takes in all
    is_measured: bool  # and not reckoned from the files' size


class LoadProgress:
    """Follows one model's loads. `clock`: the loop's, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._before: LoadStep | None = None
        self._since = 0.0
        self._started: float | None = None
        self._step_of_process: Callable[[], LoadStep] = lambda: LoadStep.PROCESS

    @property
    def started(self) -> float:
        """When the process was started that loads."""
        assert self._started is not None
        return self._started

    def waits_for(self, step: LoadStep) -> None:
        """Before there is a process."""
        if step is not self._before:
            self._before, self._since, self._started = step, self._clock(), None

    def starts(self) -> None:
        """The process is being started."""
        self._before, self._started = None, self._clock()
        self._step_of_process = lambda: LoadStep.PROCESS

    def goes_by(self, step: Callable[[], LoadStep]) -> None:
        """The process that was started tells by itself how far it is."""
        self._step_of_process = step

    def ends(self) -> None:
        """Loaded, or not."""
        self._before = self._started = None

    def loading_for_s(self) -> float:
        """How long the process has been loading."""
        return 0.0 if self._started is None else self._clock() - self._started

    def snapshot(self, need: Need) -> LoadSnapshot | None:
        """As it is now; None where nothing loads."""
        if self._before is not None:
            waited_s = self._clock() - self._since
            return LoadSnapshot(self._before.value, waited_s, 0.0, need.load_s, not need.is_estimate)
        if self._started is None:
            return None
        elapsed_s = self.loading_for_s()
        return LoadSnapshot(
            self._step_of_process().value, elapsed_s, elapsed_s, need.load_s, is_measured=not need.is_estimate
        )
