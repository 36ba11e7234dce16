"""What is told of models, from what is known of their runners. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from livefleet.ai.watch import RunnerState
from livefleet.kernel import Condition, Status

__all__ = ["MODEL_WARM", "AdvertisedModel", "RunnerView", "advertised", "conditions"]

MODEL_WARM = "ModelWarm"

_SEMVER = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class AdvertisedModel:
    """A model as capabilities tell it: summed over the runners that serve it."""

    pipeline: str
    model_id: str
    warm: bool  # loaded and answering, at least one runner
    capacity: int  # requests at once, of runners that can serve
    capacity_in_use: int
    runner_version: str  # lowest of its runners; empty while none is loaded


@dataclass(frozen=True, slots=True)
class RunnerView:
    """One runner at one moment."""

    pipeline: str
    model_id: str
    declared_warm: bool
    state: RunnerState
    reason: str  # CamelCase
    message: str
    faulty: bool  # lost, and not ready since
    capacity: int
    in_use: int
    runner_version: str

    @property
    def serves(self) -> bool:
        """Whether it takes requests now: loaded, or declared cold and free to load."""
        if self.declared_warm:
            return self.state is RunnerState.READY
        return self.state in {RunnerState.COLD, RunnerState.LOADING, RunnerState.READY}

    @property
    def free(self) -> int:
        """Requests that it could take now."""
        return self.capacity - self.in_use if self.serves else 0

    @property
    def preference(self) -> tuple[bool, bool, int]:
        """Which of several runners of a model is asked: one with a place, loaded, with the most places."""
        return self.free > 0, self.state is RunnerState.READY, self.free


def advertised(runners: Iterable[RunnerView]) -> tuple[AdvertisedModel, ...]:
    """Models that some runner serves; one that is declared warm and is not loaded is not told of at all."""
    return tuple(
        AdvertisedModel(
            pipeline=pipeline,
            model_id=model_id,
            warm=any(r.state is RunnerState.READY for r in group),
            capacity=sum(r.capacity for r in group),
            capacity_in_use=sum(r.in_use for r in group),
            runner_version=_lowest(r.runner_version for r in group),
        )
        for (pipeline, model_id), group in _by_model(r for r in runners if r.serves)
    )


def conditions(runners: Iterable[RunnerView]) -> tuple[Condition, ...]:
    """One `ModelWarm` a model, telling of its worst runner. An id that several pipelines have is told with them."""
    models = _by_model(runners)
    ids = Counter(model_id for (_, model_id), _ in models)
    return tuple(
        _condition(model_id if ids[model_id] == 1 else f"{model_id} ({pipeline})", group)
        for (pipeline, model_id), group in models
    )


def _condition(subject: str, group: Sequence[RunnerView]) -> Condition:
    worst = min(group, key=lambda r: (not r.faulty, r.state is RunnerState.READY))
    ready = sum(r.state is RunnerState.READY for r in group)
    share = f" ({ready} of {len(group)} runners answer)" if len(group) > 1 else ""
    if worst.faulty:
        is_hung = worst.state is RunnerState.HUNG
        next_step = "killed and started again unless it answers" if is_hung else "started again by itself"
        status, message = Status.FALSE, f"{worst.message}; it is {next_step}"
    elif worst.state is RunnerState.READY:
        status, message = Status.TRUE, worst.message
    elif worst.state is RunnerState.UNLOADED:
        status, message = Status.FALSE, worst.message
    else:
        status, message = Status.UNKNOWN, worst.message
    return Condition(
        name=MODEL_WARM,
        status=status,
        reason=worst.reason,
        message=message + share,
        subject=subject,
        # Being away on purpose keeps no node from being ready.
        gates_ready=any(r.declared_warm and r.state is not RunnerState.UNLOADED for r in group),
    )


def _by_model(runners: Iterable[RunnerView]) -> list[tuple[tuple[str, str], list[RunnerView]]]:
    def model(runner: RunnerView) -> tuple[str, str]:
        return (runner.pipeline, runner.model_id)

    return [(key, list(group)) for key, group in groupby(sorted(runners, key=model), key=model)]


def _lowest(versions: Iterable[str]) -> str:
    known = [(tuple(map(int, match.groups())), version) for version in versions if (match := _SEMVER.match(version))]
    return min(known)[1] if known else ""
